#include "core/text/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace ropewalk {
namespace {

struct Rendered {
  std::vector<PromptPiece> pieces;
  std::vector<int32_t> ids;
};

class Fitter {
 public:
  Fitter(const Tokenizer& tokenizer, const abi::PromptFormat& format,
         std::span<const ChatMessage> messages)
      : tokenizer_(tokenizer), format_(format), messages_(messages) {
    has_system_ = !messages.empty() && messages.front().role == abi::Role::system;
    for (size_t i = has_system_ ? 1 : 0; i < messages.size(); ++i)
      if (i == (has_system_ ? 1u : 0u) || messages[i].role == abi::Role::user) starts_.push_back(i);
    if (starts_.empty()) starts_.push_back(messages.size());
  }

  // Messages from which a prompt may begin, oldest first; at least one.
  const std::vector<size_t>& starts() const { return starts_; }
  uint32_t dropped(size_t start) const {
    return static_cast<uint32_t>(start - (has_system_ ? 1 : 0));
  }

  Rendered render(size_t start) const {
    std::vector<ChatMessage> kept;
    if (has_system_) kept.push_back(messages_.front());
    kept.insert(kept.end(), messages_.begin() + static_cast<ptrdiff_t>(start), messages_.end());
    std::vector<PromptPiece> pieces = render_messages(format_, kept);
    std::vector<int32_t> ids = prompt_ids(tokenizer_, pieces);
    return {.pieces = std::move(pieces), .ids = std::move(ids)};
  }

 private:
  const Tokenizer& tokenizer_;
  const abi::PromptFormat& format_;
  std::span<const ChatMessage> messages_;
  bool has_system_;
  std::vector<size_t> starts_;
};

[[noreturn]] void refuse(std::string_view subject, size_t found, uint32_t limit,
                         std::string_view advice) {
  throw Error(ExitCode::limit, "prompt",
              fmt::format("{} has {} tokens, expected at most {}", subject, found, limit), advice);
}

}  // namespace

FittedPrompt fit_messages(const Tokenizer& tokenizer, const abi::PromptFormat& format,
                          std::span<const ChatMessage> messages, const FitLimits& limits) {
  const Fitter fitter(tokenizer, format, messages);
  Rendered whole = fitter.render(fitter.starts().front());
  const size_t all = whole.ids.size();
  if (all <= limits.max_prompt_tokens)
    return {.pieces = std::move(whole.pieces),
            .ids = std::move(whole.ids),
            .dropped_messages = 0,
            .dropped_tokens = 0};
  if (limits.mode == FitMode::refuse)
    refuse(
        "the conversation", all, limits.max_prompt_tokens,
        "Shorten it, set prompt.truncate to drop-oldest, lower generation.max_new_tokens or raise "
        "context.length");
  Rendered best = fitter.render(fitter.starts().back());
  if (best.ids.size() > limits.max_prompt_tokens)
    refuse("the last message with the system message", best.ids.size(), limits.max_prompt_tokens,
           "Shorten it, lower generation.max_new_tokens or raise context.length");
  // Fewer turns are fewer tokens, so the first start that fits is found by halving: ten thousand
  // turns are rendered some fourteen times.
  size_t low = 1, high = fitter.starts().size() - 1;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    Rendered candidate = fitter.render(fitter.starts()[middle]);
    if (candidate.ids.size() <= limits.max_prompt_tokens) {
      high = middle;
      best = std::move(candidate);
    } else {
      low = middle + 1;
    }
  }
  const auto dropped_tokens = static_cast<uint32_t>(all - best.ids.size());
  return {.pieces = std::move(best.pieces),
          .ids = std::move(best.ids),
          .dropped_messages = fitter.dropped(fitter.starts()[high]),
          .dropped_tokens = dropped_tokens};
}

}  // namespace ropewalk
