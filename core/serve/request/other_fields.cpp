#include "core/serve/request/other_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/json/json.h"
#include "core/serve/api_error.h"

namespace ropewalk::serve {
namespace {

enum class Effect {
  refused,  // it changes what an answer is
  told,     // it only flavours an answer
  silent,   // it changes nothing that we do
};

struct OtherField {
  std::string_view name;
  Effect effect;
  std::string_view neutral = "[]";  // JSON: a list of values beside false, "", [] and {}
};

constexpr std::array kFields = {
    OtherField{"tools", Effect::refused},
    OtherField{"tool_choice", Effect::refused, R"(["none","auto"])"},
    OtherField{"functions", Effect::refused},
    OtherField{"function_call", Effect::refused, R"(["none","auto"])"},
    OtherField{"response_format", Effect::refused, R"([{"type":"text"}])"},
    OtherField{"json_schema", Effect::refused},
    OtherField{"grammar", Effect::refused},
    OtherField{"grammar_string", Effect::refused},
    OtherField{"regex_pattern", Effect::refused},
    OtherField{"guided_json", Effect::refused},
    OtherField{"guided_regex", Effect::refused},
    OtherField{"guided_choice", Effect::refused},
    OtherField{"guided_grammar", Effect::refused},
    OtherField{"structured_outputs", Effect::refused},
    OtherField{"suffix", Effect::refused},
    OtherField{"use_beam_search", Effect::refused},
    OtherField{"num_beams", Effect::refused, "[1]"},
    OtherField{"guidance_scale", Effect::refused, "[1]"},
    OtherField{"cfg_scale", Effect::refused, "[1]"},
    OtherField{"negative_prompt", Effect::refused},
    OtherField{"images", Effect::refused},
    OtherField{"image_data", Effect::refused},
    OtherField{"audio", Effect::refused},
    OtherField{"modalities", Effect::refused, R"([["text"]])"},
    OtherField{"prompt_embeds", Effect::refused},
    OtherField{"prompt_logprobs", Effect::refused, "[0]"},
    OtherField{"prediction", Effect::refused},
    OtherField{"web_search_options", Effect::refused},
    OtherField{"chat_template", Effect::refused},
    OtherField{"chat_template_kwargs", Effect::refused},
    OtherField{"chat_template_str", Effect::refused},
    OtherField{"instruction_template", Effect::refused},
    OtherField{"instruction_template_str", Effect::refused},
    OtherField{"include_stop_str_in_output", Effect::refused},
    OtherField{"skip_special_tokens", Effect::refused, "[true]"},

    OtherField{"skew", Effect::told, "[0]"},
    OtherField{"adaptive_target", Effect::told, "[0,-1,-0.01]"},
    OtherField{"adaptive_decay", Effect::told, "[0,0.9]"},
    OtherField{"penalty_alpha", Effect::told, "[0]"},
    OtherField{"encoder_repetition_penalty", Effect::told, "[1]"},
    OtherField{"length_penalty", Effect::told, "[0,1]"},
    OtherField{"priority", Effect::told, "[0]"},
    OtherField{"reasoning_effort", Effect::told, R"(["none"])"},
    OtherField{"verbosity", Effect::told, R"(["medium"])"},
    OtherField{"n_keep", Effect::told, "[0,-1]"},
    OtherField{"min_keep", Effect::told, "[0,1]"},
    OtherField{"rep_pen_slope", Effect::told, "[0,1]"},
    OtherField{"max_tokens_second", Effect::told, "[0]"},
    OtherField{"early_stopping", Effect::told},
    OtherField{"guidance", Effect::told},

    OtherField{"user", Effect::silent},
    OtherField{"metadata", Effect::silent},
    OtherField{"session_id", Effect::silent},
    OtherField{"store", Effect::silent},
    OtherField{"service_tier", Effect::silent},
    OtherField{"safety_identifier", Effect::silent},
    OtherField{"prompt_cache_key", Effect::silent},
    OtherField{"prompt_cache_retention", Effect::silent},
    OtherField{"parallel_tool_calls", Effect::silent},
    OtherField{"cache_prompt", Effect::silent},
    OtherField{"id_slot", Effect::silent},
    OtherField{"spaces_between_special_tokens", Effect::silent},
    OtherField{"truncation_length", Effect::silent},
    OtherField{"trim_stop", Effect::silent},
    OtherField{"num_ctx", Effect::silent},
    OtherField{"speculative_ngram", Effect::silent},
    OtherField{"include_reasoning", Effect::silent},
    OtherField{"api_type", Effect::silent},
    OtherField{"api_server", Effect::silent},
    OtherField{"auto_max_new_tokens", Effect::silent},
};

bool is_neutral(const OtherField& field, const Json& value) {
  if (value.is_boolean() && !value.get<bool>()) return true;
  if ((value.is_string() && value.get_ref<const std::string&>().empty()) ||
      (value.is_structured() && value.empty()))
    return true;
  const Json neutral = Json::parse(field.neutral);
  return std::ranges::find(neutral, value) != neutral.end();
}

// `tool_choice` other than "none" means nothing without tools, which are refused by themselves.
bool only_speaks_of_tools(std::string_view name) {
  return name == "tool_choice" || name == "function_call";
}

}  // namespace

void check_other_fields(Fields& fields, std::span<const std::string> tolerated, Told& told) {
  const Json* choice = fields.find({"tool_choice"}).value;
  const bool no_tools = choice && *choice == "none";
  for (const OtherField& field : kFields) {
    const auto [name, value] = fields.find({field.name});
    if (!value || field.effect == Effect::silent || is_neutral(field, *value)) continue;
    if (no_tools && (field.name == "tools" || only_speaks_of_tools(field.name))) continue;
    const bool refused = field.effect == Effect::refused &&
                         std::ranges::find(tolerated, field.name) == tolerated.end();
    if (refused)
      throw ApiError(400, "unsupported_parameter",
                     fmt::format("{}: found {}, which this server does not support. Leave it out.",
                                 name, shown(*value)),
                     name);
    told.ignored.push_back(name);
  }
}

}  // namespace ropewalk::serve
