// blocks.h — formats that write every message as a block of its own: marks, the content, marks.
// They are the chat templates (Jinja) of model folders, byte for byte.
//
// In the texts of Blocks {content} is where a message goes, <s> and </s> are BOS and EOS, and
// `tokens` names the added tokens. An empty content is an empty block; an empty system text is no
// block.
#pragma once

#include <string>

#include "plugins/prompt-formats/pattern.h"

namespace ropewalk::formats {

// What Python's str.strip() and Jinja's trim take away: the white space of Unicode.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces[] = {
      " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",
      "\x1e",   "\x1f",   "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
      "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
      "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view space : kSpaces) {
      if (text.starts_with(space)) text.remove_prefix(space.size()), cut = true;
      if (text.ends_with(space)) text.remove_suffix(space.size()), cut = true;
    }
  }
  return text;
}

enum class Contents { as_they_are, trimmed };

// What becomes of a reasoning model's thoughts, "<think>...</think>", in earlier replies.
enum class Thoughts { kept, cut, cut_with_line_ends };

inline std::string_view without_thoughts(std::string_view reply, Thoughts thoughts) {
  constexpr std::string_view kEnd = "</think>";
  const size_t end = reply.rfind(kEnd);
  if (thoughts == Thoughts::kept || end == std::string_view::npos) return reply;
  reply.remove_prefix(end + kEnd.size());
  while (thoughts == Thoughts::cut_with_line_ends && reply.starts_with('\n'))
    reply.remove_prefix(1);
  return reply;
}

struct Blocks {
  std::string_view front = "";  // of the whole text
  std::string_view system;      // empty: the text goes before the user's first, and a blank line
  std::string_view user, assistant;
  std::string_view reply;                        // opens the assistant's next message
  std::string_view reply_without_thoughts = "";  // by an option `thinking`: false
  std::string_view default_system = "";
  std::string_view no_system = "";  // where there is no system text
  std::span<const std::string_view> tokens = {}, stops = {};
  Contents contents = Contents::as_they_are;
  Thoughts thoughts = Thoughts::kept;
};

inline constexpr std::string_view kChatmlTokens[] = {"<|im_start|>", "<|im_end|>"};
inline constexpr std::string_view kChatmlStops[] = {"<|im_end|>", "<|im_start|>", "<|endoftext|>"};

// ChatML for models that differ only in the system text that they have of their own.
constexpr Blocks chatml(std::string_view default_system) {
  return {
      .system = "<|im_start|>system\n{content}<|im_end|>\n",
      .user = "<|im_start|>user\n{content}<|im_end|>\n",
      .assistant = "<|im_start|>assistant\n{content}<|im_end|>\n",
      .reply = "<|im_start|>assistant\n",
      .default_system = default_system,
      .tokens = kChatmlTokens,
      .stops = kChatmlStops,
  };
}

template <const Blocks& kBlocks>
class BlockFormat final : public abi::PromptFormat {
 public:
  explicit BlockFormat(const abi::Options& options)
      : reply_(pattern(thinks(options) ? kBlocks.reply : kBlocks.reply_without_thoughts)) {}

  void default_system(abi::TextSink& sink) const noexcept override {
    sink.text(kBlocks.default_system);
  }
  abi::Status render(std::span<const abi::Message> messages,
                     abi::PieceSink& sink) const noexcept override {
    return abi::guard([&] {
      const size_t first = check_turns(messages);
      const std::string_view system =
          content_of(first == 1 ? messages[0].content : kBlocks.default_system);
      front_.emit("", sink);
      if (system.empty())
        no_system_.emit("", sink);
      else if (!kBlocks.system.empty())
        system_.emit(system, sink);
      for (size_t i = first; i < messages.size(); ++i) {
        const bool users = messages[i].role == abi::Role::user;
        std::string content(content_of(messages[i].content));
        if (!users) content = without_thoughts(content, kBlocks.thoughts);
        if (i == first && kBlocks.system.empty() && !system.empty())
          content = std::string(system) + "\n\n" + content;
        (users ? user_ : assistant_).emit(content, sink);
      }
      if (awaits_reply(messages)) reply_.emit("", sink);
    });
  }
  void stops(abi::TextSink& sink) const noexcept override {
    for (const std::string_view stop : kBlocks.stops) sink.text(stop);
  }
  void release() noexcept override { delete this; }

 private:
  static bool thinks(const abi::Options& options) {
    return kBlocks.reply_without_thoughts.empty() || options.boolean("thinking");
  }
  static Pattern pattern(std::string_view text) {
    return Pattern(text, {kBlocks.tokens.begin(), kBlocks.tokens.end()});
  }
  static std::string_view content_of(std::string_view text) {
    return kBlocks.contents == Contents::trimmed ? trimmed(text) : text;
  }

  Pattern front_ = pattern(kBlocks.front), system_ = pattern(kBlocks.system),
          no_system_ = pattern(kBlocks.no_system), user_ = pattern(kBlocks.user),
          assistant_ = pattern(kBlocks.assistant);
  Pattern reply_;
};

}  // namespace ropewalk::formats
