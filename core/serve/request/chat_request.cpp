// chat_request.cpp — the body of POST /v1/chat/completions.
#include <fmt/format.h>

#include <algorithm>

#include "core/json/json.h"
#include "core/serve/api_error.h"
#include "core/serve/request/ask.h"
#include "core/serve/request/chat_prompt.h"
#include "core/serve/request/common_fields.h"
#include "core/serve/request/messages.h"

namespace ropewalk::serve {
namespace {

void refuse_completion_fields(Fields& fields, uint32_t n) {
  const std::optional<int64_t> best = fields.integer({"best_of"}, 1, 16);
  if (best && *best != n)
    throw ApiError(400, "unsupported_parameter",
                   "best_of: chat completions have none. Use /v1/completions.", "best_of");
  if (fields.boolean({"echo"}).value_or(false))
    throw ApiError(400, "unsupported_parameter",
                   "echo: chat completions have none. Use /v1/completions.", "echo");
}

std::optional<uint32_t> read_chat_logprobs(Fields& fields) {
  const bool wanted = fields.boolean({"logprobs"}).value_or(false);
  const std::optional<int64_t> top = fields.integer({"top_logprobs"}, 0, kMaxAlternatives);
  if (top && *top > 0 && !wanted)
    refuse_value("top_logprobs", "found it without logprobs, expected logprobs: true beside it");
  if (!wanted) return std::nullopt;
  return static_cast<uint32_t>(top.value_or(0));
}

LastMessage read_last(Fields& fields, const std::vector<ChatMessage>& messages) {
  const std::optional<bool> continues = fields.boolean({"continue_final_message"});
  const std::optional<bool> opens = fields.boolean({"add_generation_prompt"});
  const bool assistant = messages.back().role == abi::Role::assistant;
  const bool wanted = continues.value_or(false) || (opens && !*opens);
  if (assistant && !wanted)
    refuse_value(fmt::format("messages[{}]", messages.size() - 1),
                 "the last message is the assistant's, expected a user's, or "
                 "continue_final_message: true to have it continued");
  if (!assistant && continues.value_or(false))
    refuse_value("continue_final_message",
                 "the last message is not the assistant's, expected one to continue");
  return assistant ? LastMessage::continued : LastMessage::answered;
}

}  // namespace

Ask read_chat(const Json& body, const ServedModel& model, Strictness strictness) {
  Fields fields(body, "");
  Ask ask{.endpoint = Endpoint::chat, .model = {}};
  ask.request.stops = model.text.stops(model.config.generation.stop);
  CommonFields common(fields, model, ask);
  common.read();
  refuse_completion_fields(fields, ask.n);
  ask.logprobs = read_chat_logprobs(fields);
  if (ask.logprobs)
    ask.request.logprobs =
        LogprobsWanted{.top = *ask.logprobs, .prompt = false, .of = ask.logprobs_of};
  const std::optional<uint32_t> length = common.max_tokens(
      {"max_completion_tokens", "max_tokens", "max_new_tokens", "n_predict", "num_predict"});

  const auto [name, list] = fields.find({"messages"});
  if (!list)
    throw ApiError(400, "missing_parameter", "messages: is missing, expected a list of messages.",
                   "messages");
  std::vector<ChatMessage> messages = read_messages(*list, model.config.serve.turns, ask.told);
  const ChatRules rules{
      .last = read_last(fields, messages),
      .truncate = common.truncate().value_or(model.config.serve.truncate),
      // As `ropewalk chat` leaves it: the reply's length, at most half of the context.
      .room = std::clamp(length.value_or(model.config.generation.max_new_tokens), 1u,
                         std::max(1u, model.context_length / 2))};
  common.finish(strictness);
  ChatPrompt prompt = chat_prompt(model, std::move(messages), rules);
  ask.told.dropped_messages = prompt.dropped_messages;
  ask.request.leading_space = prompt.leading_space;
  common.add_prompt(std::move(prompt.ids), length);
  return ask;
}

}  // namespace ropewalk::serve
