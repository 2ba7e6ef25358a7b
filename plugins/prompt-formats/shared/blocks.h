// blocks.h — formats that write each message as a block: marks, the content, marks. They are the
// chat templates (Jinja) of model folders, byte for byte.
//
//   message    <|im_start|>{role}\n{content}<|im_end|>\n
//   reply      <|im_start|>assistant\n                     the assistant's block up to its content
//
// In these texts {role} is the name of a message's role, {content} its content, {date} the option
// `date`; <s> and </s> are BOS and EOS, and `tokens` names the added tokens. An empty content is an
// empty block; an empty system text is no block.
//
// A format has the options that it declares: `thinking`, `default_system`, `date`, `trim`.
#pragma once

#include <string>

#include "plugins/prompt-formats/shared/options.h"
#include "plugins/prompt-formats/shared/pattern.h"
#include "plugins/prompt-formats/shared/trim.h"
#include "plugins/prompt-formats/shared/turns.h"

namespace ropewalk::formats {

enum class Contents { as_they_are, trimmed };

// What becomes of a reasoning model's thoughts, "<think>...</think>", in earlier replies.
enum class Thoughts { kept, cut, cut_with_line_ends };

enum class SystemText {
  in_a_block,
  before_the_users_first,  // and a blank line between them; it is not trimmed then
};

struct RoleNames {
  std::string_view system = "system", user = "user", assistant = "assistant";
};

struct Blocks {
  std::string_view front = "";    // of the whole text
  std::string_view message = "";  // of each role that has no block below
  std::string_view system = "", user = "", assistant = "";
  RoleNames roles = {};
  std::string_view reply = "";  // opens the assistant's next message; empty: its block's opening
  std::string_view reply_without_thoughts = "";  // by the option `thinking`: false
  std::string_view default_system = "";
  std::string_view no_system = "";  // where there is no system text
  std::span<const std::string_view> tokens = {}, stops = {};
  SystemText system_text = SystemText::in_a_block;
  Contents contents = Contents::as_they_are;
  Thoughts thoughts = Thoughts::kept;
};

inline std::string_view without_thoughts(std::string_view reply, Thoughts thoughts) {
  constexpr std::string_view kEnd = "</think>";
  const size_t end = reply.rfind(kEnd);
  if (thoughts == Thoughts::kept || end == std::string_view::npos) return reply;
  reply.remove_prefix(end + kEnd.size());
  while (thoughts == Thoughts::cut_with_line_ends && reply.starts_with('\n'))
    reply.remove_prefix(1);
  return reply;
}

template <const Blocks& kBlocks>
class BlockFormat final : public abi::PromptFormat {
 public:
  explicit BlockFormat(const abi::Options& options)
      : default_system_(options.has("default_system") ? options.text("default_system")
                                                      : kBlocks.default_system),
        trims_(kBlocks.contents == Contents::trimmed &&
               (!options.has("trim") || options.boolean("trim"))),
        front_(pattern(kBlocks.front, "", options)),
        system_(block(kBlocks.system, kBlocks.roles.system, options)),
        no_system_(pattern(kBlocks.no_system, "", options)),
        user_(block(kBlocks.user, kBlocks.roles.user, options)),
        assistant_(block(kBlocks.assistant, kBlocks.roles.assistant, options)),
        reply_(pattern(reply(options), kBlocks.roles.assistant, options)) {}

  void default_system(abi::TextSink& sink) const noexcept override { sink.text(default_system_); }
  abi::Status render(std::span<const abi::Message> messages,
                     abi::PieceSink& sink) const noexcept override {
    return abi::guard([&] {
      const size_t first = check_turns(messages);
      const std::string_view system = first == 1 ? messages[0].content : default_system_;
      const bool no_system = content_of(system).empty();
      constexpr bool kInABlock = kBlocks.system_text == SystemText::in_a_block;
      front_.emit("", sink);
      if (no_system)
        no_system_.emit("", sink);
      else if (kInABlock)
        system_.emit(content_of(system), sink);
      for (size_t i = first; i < messages.size(); ++i) {
        const bool users = messages[i].role == abi::Role::user;
        std::string content(content_of(messages[i].content));
        if (!users) content = without_thoughts(content, kBlocks.thoughts);
        if (i == first && !kInABlock && !no_system)
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
  static std::string_view reply(const abi::Options& options) {
    if (options.has("thinking") && !options.boolean("thinking"))
      return kBlocks.reply_without_thoughts;
    if (!kBlocks.reply.empty()) return kBlocks.reply;
    const std::string_view block = kBlocks.assistant.empty() ? kBlocks.message : kBlocks.assistant;
    return block.substr(0, block.find(kContent));
  }
  static Pattern block(std::string_view own, std::string_view role, const abi::Options& options) {
    return pattern(own.empty() ? kBlocks.message : own, role, options);
  }
  static Pattern pattern(std::string_view text, std::string_view role,
                         const abi::Options& options) {
    std::string filled = replaced(std::string(text), "{role}", role);
    if (options.has("date")) filled = replaced(std::move(filled), "{date}", options.text("date"));
    return Pattern(filled, {kBlocks.tokens.begin(), kBlocks.tokens.end()});
  }
  // With `by` for the first `mark`.
  static std::string replaced(std::string text, std::string_view mark, std::string_view by) {
    if (const size_t at = text.find(mark); at != std::string::npos)
      text.replace(at, mark.size(), by);
    return text;
  }
  std::string_view content_of(std::string_view text) const { return trims_ ? trimmed(text) : text; }

  std::string default_system_;
  bool trims_;
  Pattern front_, system_, no_system_, user_, assistant_, reply_;
};

}  // namespace ropewalk::formats
