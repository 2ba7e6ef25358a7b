// blocks.h — formats that write every message as a block of its own: marks, the content, marks.
// They are the chat templates (Jinja) of model folders, byte for byte.
//
// In the texts of Blocks {content} is where a message goes, {date} is the option `date`, <s> and
// </s> are BOS and EOS, and `tokens` names the added tokens. An empty content is an empty block; an
// empty system text is no block.
//
// A format has the options that it declares: `thinking`, `default_system`, `date`, `trim`.
#pragma once

#include <string>

#include "plugins/prompt-formats/shared/pattern.h"

namespace ropewalk::formats {

// What Python's str.strip() and Jinja's trim take away: the white space of Unicode.
inline constexpr std::string_view kSpaces[] = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",
    "\x1e",   "\x1f",   "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
    "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
    "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

inline std::string_view trimmed_left(std::string_view text) {
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view space : kSpaces)
      if (text.starts_with(space)) text.remove_prefix(space.size()), cut = true;
  }
  return text;
}

// str.rstrip()
inline std::string_view trimmed_right(std::string_view text) {
  for (bool cut = true; cut;) {
    cut = false;
    for (const std::string_view space : kSpaces)
      if (text.ends_with(space)) text.remove_suffix(space.size()), cut = true;
  }
  return text;
}

inline std::string_view trimmed(std::string_view text) { return trimmed_left(trimmed_right(text)); }

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

inline constexpr abi::OptionInfo kDefaultSystemOption{
    .name = "default_system",
    .type = abi::OptionType::text,
    .default_value = "",
    .help = "the system text where prompt.system gives none"};

struct Blocks {
  std::string_view front = "";  // of the whole text
  std::string_view system;      // empty: the text goes before the user's first, and a blank line;
                                // it is not trimmed then
  std::string_view user, assistant;
  std::string_view reply;                        // opens the assistant's next message
  std::string_view reply_without_thoughts = "";  // by the option `thinking`: false
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

inline constexpr std::string_view kLlama3Tokens[] = {"<|start_header_id|>", "<|end_header_id|>",
                                                     "<|eot_id|>"};
inline constexpr std::string_view kLlama3Stops[] = {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"};

// Llama 3 and its successors, which differ in the system block.
constexpr Blocks llama_3(std::string_view system, std::string_view no_system) {
  return {
      .front = "<s>",
      .system = system,
      .user = "<|start_header_id|>user<|end_header_id|>\n\n{content}<|eot_id|>",
      .assistant = "<|start_header_id|>assistant<|end_header_id|>\n\n{content}<|eot_id|>",
      .reply = "<|start_header_id|>assistant<|end_header_id|>\n\n",
      .no_system = no_system,
      .tokens = kLlama3Tokens,
      .stops = kLlama3Stops,
      .contents = Contents::trimmed,
  };
}

template <const Blocks& kBlocks>
class BlockFormat final : public abi::PromptFormat {
 public:
  explicit BlockFormat(const abi::Options& options)
      : default_system_(options.has("default_system") ? options.text("default_system")
                                                      : kBlocks.default_system),
        trims_(kBlocks.contents == Contents::trimmed &&
               (!options.has("trim") || options.boolean("trim"))),
        front_(pattern(kBlocks.front, options)),
        system_(pattern(kBlocks.system, options)),
        no_system_(pattern(kBlocks.no_system, options)),
        user_(pattern(kBlocks.user, options)),
        assistant_(pattern(kBlocks.assistant, options)),
        reply_(pattern(thinks(options) ? kBlocks.reply : kBlocks.reply_without_thoughts, options)) {
  }

  void default_system(abi::TextSink& sink) const noexcept override { sink.text(default_system_); }
  abi::Status render(std::span<const abi::Message> messages,
                     abi::PieceSink& sink) const noexcept override {
    return abi::guard([&] {
      const size_t first = check_turns(messages);
      const std::string_view system = first == 1 ? messages[0].content : default_system_;
      const bool no_system = content_of(system).empty();
      front_.emit("", sink);
      if (no_system)
        no_system_.emit("", sink);
      else if (!kBlocks.system.empty())
        system_.emit(content_of(system), sink);
      for (size_t i = first; i < messages.size(); ++i) {
        const bool users = messages[i].role == abi::Role::user;
        std::string content(content_of(messages[i].content));
        if (!users) content = without_thoughts(content, kBlocks.thoughts);
        if (i == first && kBlocks.system.empty() && !no_system)
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
    return !options.has("thinking") || options.boolean("thinking");
  }
  static Pattern pattern(std::string_view text, const abi::Options& options) {
    constexpr std::string_view kDate = "{date}";
    std::string dated(text);
    if (const size_t at = dated.find(kDate); at != std::string::npos)
      dated.replace(at, kDate.size(), options.text("date"));
    return Pattern(dated, {kBlocks.tokens.begin(), kBlocks.tokens.end()});
  }
  std::string_view content_of(std::string_view text) const { return trims_ ? trimmed(text) : text; }

  std::string default_system_;
  bool trims_;
  Pattern front_, system_, no_system_, user_, assistant_, reply_;
};

}  // namespace ropewalk::formats
