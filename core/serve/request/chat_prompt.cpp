#include "core/serve/request/chat_prompt.h"

#include <utility>

#include "core/serve/api_error.h"
#include "core/text/fit.h"

namespace ropewalk::serve {
namespace {

void add_system(const ServedModel& model, std::vector<ChatMessage>& messages) {
  const bool has_system = !messages.empty() && messages.front().role == abi::Role::system;
  const bool configured = model.config.prompt.system || !model.text.system().empty();
  if (!has_system && configured)
    messages.insert(messages.begin(), {abi::Role::system, model.text.system()});
}

// Cuts what the format put behind the last message, so that the reply goes on from it.
void cut_behind(std::vector<PromptPiece>& pieces, const std::string& content) {
  while (!pieces.empty() && !content.empty()) {
    PromptPiece& last = pieces.back();
    const size_t at = last.kind == PieceKind::text ? last.text.rfind(content) : std::string::npos;
    if (at != std::string::npos) {
      last.text.resize(at + content.size());
      return;
    }
    pieces.pop_back();
  }
}

std::vector<PromptPiece> continued(const abi::PromptFormat& format,
                                   std::vector<ChatMessage> messages) {
  std::vector<PromptPiece> pieces = render_messages(format, messages);
  const std::string content = messages.back().content;
  cut_behind(pieces, content);
  if (!pieces.empty()) return pieces;
  // The format changes the text, so that it is not found again: it goes behind the opening.
  messages.pop_back();
  pieces = render_messages(format, messages);
  pieces.push_back({PieceKind::text, content});
  return pieces;
}

}  // namespace

ChatPrompt chat_prompt(const ServedModel& model, std::vector<ChatMessage> messages,
                       const ChatRules& rules) {
  add_system(model, messages);
  const abi::PromptFormat& format = model.text.format();
  const Tokenizer& tokenizer = model.text.tokenizer();
  ChatPrompt prompt;
  try {
    if (rules.last == LastMessage::continued) {
      prompt.pieces = continued(format, messages);
      prompt.leading_space = LeadingSpace::keep;
    } else if (rules.truncate == Truncate::drop_oldest && rules.room < model.context_length) {
      FittedPrompt fitted = fit_messages(
          tokenizer, format, messages,
          {.max_prompt_tokens = model.context_length - rules.room, .mode = FitMode::drop_oldest});
      prompt.pieces = std::move(fitted.pieces);
      prompt.dropped_messages = fitted.dropped_messages;
    } else {
      prompt.pieces = render_messages(format, messages);
    }
    prompt.ids = prompt_ids(tokenizer, prompt.pieces);
  } catch (const Error& error) {
    const bool too_long = error.code() == ExitCode::limit;
    throw ApiError(400, too_long ? "context_length_exceeded" : "invalid_value", error.what(),
                   "messages")
        .with("n_ctx", model.context_length);
  }
  // A format that puts nothing behind the user's text has the model continue it.
  const std::string& last = messages.back().content;
  if (!prompt.pieces.empty() && prompt.pieces.back().kind == PieceKind::text && !last.empty() &&
      prompt.pieces.back().text.ends_with(last))
    prompt.leading_space = LeadingSpace::keep;
  return prompt;
}

}  // namespace ropewalk::serve
