// completion_request.cpp — the body of POST /v1/completions.
#include <fmt/format.h>

#include <algorithm>

#include "core/json/json.h"
#include "core/serve/api_error.h"
#include "core/serve/request/ask.h"
#include "core/serve/request/common_fields.h"
#include "core/serve/request/token_fields.h"
#include "core/text/prompt.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMaxPrompts = 64;
constexpr uint32_t kDefaultTokens = 16;  // OpenAI's

// How a prompt's text becomes ids.
struct TextRules {
  bool add_bos = true;
  SpecialTokens special = SpecialTokens::as_text;
};

std::vector<int32_t> ids_of_text(const Tokenizer& tokenizer, const std::string& text,
                                 const TextRules& rules) {
  try {
    return rules.add_bos ? raw_prompt_ids(tokenizer, text, rules.special)
                         : tokenizer.encode_text(text, rules.special);
  } catch (const Error& error) {
    throw ApiError(400, "invalid_value", error.what(), "prompt");
  }
}

std::vector<int32_t> ids_of_list(const Json& list, uint32_t vocab) {
  std::vector<int32_t> ids;
  for (const Json& item : list) ids.push_back(read_id("prompt", item, vocab));
  return ids;
}

// A string, [string], [int] or [[int]].
std::vector<std::vector<int32_t>> read_prompts(const Json& value, const ServedModel& model,
                                               const TextRules& rules) {
  const Tokenizer& tokenizer = model.text.tokenizer();
  const auto one = [&](const Json& item) {
    if (item.is_string()) return ids_of_text(tokenizer, item.get_ref<const std::string&>(), rules);
    if (!item.is_array()) refuse_type("prompt", item, "a text or a list of token ids");
    return ids_of_list(item, model.vocab);
  };
  if (!value.is_array()) return {one(value)};
  if (!value.empty() && value.front().is_number()) return {ids_of_list(value, model.vocab)};
  if (value.empty() || value.size() > kMaxPrompts)
    refuse_value("prompt",
                 fmt::format("found {} prompts, expected 1 to {}", value.size(), kMaxPrompts));
  std::vector<std::vector<int32_t>> prompts;
  for (const Json& item : value) prompts.push_back(one(item));
  return prompts;
}

void cut(std::vector<int32_t>& ids, std::optional<int64_t> last, Told& told) {
  if (!last || ids.size() <= static_cast<size_t>(*last)) return;
  told.clipped.push_back(fmt::format("prompt: {} tokens became {}", ids.size(), *last));
  ids.erase(ids.begin(), ids.end() - static_cast<ptrdiff_t>(*last));
}

std::optional<uint32_t> read_completion_logprobs(Fields& fields) {
  const auto [name, value] = fields.find({"logprobs"});
  if (!value) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>() ? std::optional<uint32_t>(1) : std::nullopt;
  return static_cast<uint32_t>(*fields.integer({"logprobs"}, 0, kMaxAlternatives));
}

}  // namespace

Ask read_completion(const Json& body, const ServedModel& model, Strictness strictness) {
  Fields fields(body, "");
  Ask ask{.endpoint = Endpoint::completions, .model = {}};
  // A text to be continued has no format, so the configured stops alone end it.
  ask.request.stops = model.config.generation.stop;
  CommonFields common(fields, model, ask);
  common.read();
  if (const auto best = fields.integer({"best_of"}, 1, 16)) {
    if (*best < ask.n)
      refuse_value("best_of", fmt::format("found {}, expected at least n, {}", *best, ask.n));
    ask.best_of = static_cast<uint32_t>(*best);
  }
  ask.echo = fields.boolean({"echo"}).value_or(false);
  ask.logprobs = read_completion_logprobs(fields);
  if (ask.stream && ask.best_of > ask.n)
    refuse_value("best_of", "a stream cannot choose among replies, expected best_of = n");
  const std::optional<uint32_t> length = common.max_tokens(
      {"max_tokens", "max_new_tokens", "n_predict", "num_predict", "max_completion_tokens"});

  const bool bos = fields.boolean({"add_special_tokens", "add_bos_token"}).value_or(true);
  const bool parse = fields.boolean({"parse_special"}).value_or(false);
  const std::optional<int64_t> last = fields.integer({"truncate_prompt_tokens"}, 1, 1 << 24);
  const auto [name, prompt] = fields.find({"prompt"});
  if (!prompt)
    throw ApiError(400, "missing_parameter",
                   "prompt: is missing, expected a text, a list of texts or token ids.", "prompt");
  common.finish(strictness);

  const TextRules rules{bos && model.text.tokenizer().add_bos(),
                        parse ? SpecialTokens::parse : SpecialTokens::as_text};
  bool keeps_space = true;
  for (std::vector<int32_t>& ids : read_prompts(*prompt, model, rules)) {
    cut(ids, last, ask.told);
    if (ids.empty()) refuse_value("prompt", "found no token, expected at least one");
    // After BOS alone the space in front of a first word is the tokenizer's own.
    const bool only_bos = ids.size() == 1 && ids[0] == model.text.tokenizer().bos_id();
    keeps_space = keeps_space && !only_bos;
    common.add_prompt(std::move(ids), length.value_or(kDefaultTokens));
  }
  ask.request.leading_space = keeps_space ? LeadingSpace::keep : LeadingSpace::strip;
  if (ask.logprobs || ask.best_of > ask.n)
    ask.request.logprobs = LogprobsWanted{.top = ask.logprobs.value_or(0),
                                          .prompt = ask.logprobs.has_value() && ask.echo,
                                          .of = ask.logprobs_of};
  return ask;
}

}  // namespace ropewalk::serve
