// A format written in YAML, so that most new ones need no code:
//
//   prompt:
//     format:
//       template:
//         system: "{content}\n\n"
//         user: "### Human: {content}\n"
//         assistant: "### Assistant: {content}</s>\n"
//         reply: "### Assistant:"
//         stops: ["### Human:"]
//
// {content} is where a message goes. <s> and </s> in these texts are the control tokens, and so are
// the added tokens that `tokens` names; in a message they are characters. BOS comes first. An empty
// message is written up to its {content}, spaces before it left out, as FastChat does.
#include <array>
#include <string>
#include <vector>

#include "plugins/prompt-formats/shared/pattern.h"
#include "plugins/prompt-formats/shared/turns.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;
using formats::Pattern;

constexpr std::array kOptions = {
    OptionInfo{.name = "user",
               .type = OptionType::text,
               .default_value = "USER: {content} ",
               .help = "how a message of the user is written"},
    OptionInfo{.name = "assistant",
               .type = OptionType::text,
               .default_value = "ASSISTANT: {content}</s>",
               .help = "how a message of the assistant is written"},
    OptionInfo{.name = "reply",
               .type = OptionType::text,
               .default_value = "ASSISTANT:",
               .help = "what opens the assistant's next message"},
    OptionInfo{.name = "system",
               .type = OptionType::text,
               .default_value = "{content} ",
               .help = "how the system message is written"},
    OptionInfo{.name = "no_system",
               .type = OptionType::text,
               .default_value = nullptr,
               .help = "used where the system message is empty; absent: `system` without content"},
    OptionInfo{.name = "default_system",
               .type = OptionType::text,
               .default_value = "",
               .help = "the system message where prompt.system gives none"},
    OptionInfo{.name = "first_user",
               .type = OptionType::text,
               .default_value = nullptr,
               .help = "how the user's first message is written, where that differs"},
    OptionInfo{.name = "stops",
               .type = OptionType::texts,
               .default_value = "USER:",
               .help = "texts that end a reply, beside the end token"},
    OptionInfo{.name = "tokens",
               .type = OptionType::texts,
               .default_value = "",
               .help = "names of added tokens in the texts above, such as <|im_end|>"},
};

class Template final : public PromptFormat {
 public:
  explicit Template(const Options& options)
      : system_(pattern(options, "system", 1)),
        no_system_(pattern(options, options.has("no_system") ? "no_system" : "system",
                           options.has("no_system") ? 0 : 1)),
        first_user_(pattern(options, options.has("first_user") ? "first_user" : "user", 1)),
        user_(pattern(options, "user", 1)),
        assistant_(pattern(options, "assistant", 1)),
        reply_(pattern(options, "reply", 0)),
        default_system_(options.text("default_system")) {
    for (const std::string_view stop : options.texts("stops")) stops_.emplace_back(stop);
  }

  void default_system(TextSink& sink) const noexcept override { sink.text(default_system_); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      const size_t first = formats::check_turns(messages);
      sink.control(Control::bos);
      const std::string_view system = first == 1 ? messages[0].content : default_system_;
      (system.empty() ? no_system_ : system_).emit(system, sink);
      for (size_t i = first; i < messages.size(); ++i) {
        const bool users = messages[i].role == Role::user;
        const Pattern& pattern = i == first ? first_user_ : users ? user_ : assistant_;
        if (messages[i].content.empty())
          pattern.emit_empty(sink);
        else
          pattern.emit(messages[i].content, sink);
      }
      if (formats::awaits_reply(messages)) reply_.emit("", sink);
    });
  }
  void stops(TextSink& sink) const noexcept override {
    for (const std::string& stop : stops_) sink.text(stop);
  }
  void release() noexcept override { delete this; }

 private:
  static Pattern pattern(const Options& options, std::string_view name, size_t contents) {
    std::vector<std::string> tokens;
    for (const std::string_view token : options.texts("tokens")) tokens.emplace_back(token);
    Pattern made(options.text(name), tokens);
    if (made.contents() != contents)
      throw Failure(StatusCode::invalid_argument,
                    std::string(name) + " has {content} " + std::to_string(made.contents()) +
                        " times, expected " + (contents == 1 ? "once" : "never"));
    return made;
  }

  Pattern system_, no_system_, first_user_, user_, assistant_, reply_;
  std::string default_system_;
  std::vector<std::string> stops_;
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Template>({
    .name = "template",
    .version = "1.0.0",
    .help = "Roles, separators and stops written in YAML",
    .source = "Ropewalk; the rules for empty messages are lm-sys/FastChat's",
    .options = kOptions,
});
