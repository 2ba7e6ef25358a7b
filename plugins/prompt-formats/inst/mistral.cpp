// Mistral Instruct. Its tokenizers differ in where they put spaces:
//
//   v0.1    <s>[INST] SYSTEM\n\nhi [/INST]hello</s> [INST] again [/INST]
//   v0.2    <s>[INST] SYSTEM\n\nhi [/INST]hello</s>[INST] again [/INST]
//   v1      <s> [INST] SYSTEM\n\nhi [/INST] hello</s> [INST] again [/INST]
//   v3      <s>[INST] hi[/INST] hello</s>[INST] SYSTEM\n\nagain[/INST]
//   tekken  <s>[INST]hi[/INST]hello</s>[INST]SYSTEM\n\nagain[/INST]
//   v7      <s>[SYSTEM_PROMPT] SYSTEM[/SYSTEM_PROMPT][INST] hi[/INST] hello</s>[INST] again[/INST]
//   v7-tekken  as v7, without spaces
//
// v0.1 and v0.2 are the first templates of models with the tokenizer v1, and refuse a system text.
// The marks are added tokens from v3 on. The system text goes before the user's first message (v1),
// before the last where that ends the conversation (v3, tekken), or has marks of its own (from v7
// on).
#include <array>

#include "plugins/prompt-formats/shared/options.h"
#include "plugins/prompt-formats/shared/trim.h"
#include "plugins/prompt-formats/shared/turns.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "spaces",
               .type = OptionType::text,
               .default_value = "v3",
               .help = "v0.1, v0.2, v1, v3, tekken, v7 or v7-tekken: which model's"},
    formats::kDefaultSystemOption,
};

enum class System { first, last, own };

struct Spaces {
  std::string_view name;
  std::string_view before;  // the user's first mark
  std::string_view in;      // after a mark
  std::string_view out;     // before the mark after a message
  std::string_view reply;   // before a reply
  std::string_view next;    // before the user's later marks
  System system;
  bool trims_replies;
};
constexpr Spaces kSpaces[] = {
    {"v0.1", "", " ", " ", "", " ", System::first, false},
    {"v0.2", "", " ", " ", "", "", System::first, false},
    {"v1", " ", " ", " ", " ", " ", System::first, false},
    {"v3", "", " ", "", " ", "", System::last, true},
    {"tekken", "", "", "", "", "", System::last, false},
    {"v7", "", " ", "", " ", "", System::own, false},
    {"v7-tekken", "", "", "", "", "", System::own, false},
};

const Spaces& spaces_of(std::string_view name) {
  for (const Spaces& spaces : kSpaces)
    if (spaces.name == name) return spaces;
  throw Failure(StatusCode::invalid_argument,
                "spaces: found " + std::string(name) +
                    ", expected v0.1, v0.2, v1, v3, tekken, v7 or v7-tekken");
}

class Mistral final : public PromptFormat {
 public:
  explicit Mistral(const Options& options)
      : spaces_(spaces_of(options.text("spaces"))),
        default_system_(options.text("default_system")) {}

  void default_system(TextSink& sink) const noexcept override { sink.text(default_system_); }
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      const size_t first = formats::check_turns(messages);
      const std::string_view system = first == 1 ? messages[0].content : default_system_;
      sink.control(Control::bos);
      if (spaces_.system == System::own && !system.empty()) {
        sink.added_token("[SYSTEM_PROMPT]");
        sink.text(spaces_.in);
        sink.text(system);
        sink.added_token("[/SYSTEM_PROMPT]");
      }
      for (size_t i = first; i < messages.size(); ++i) {
        const size_t place = spaces_.system == System::first ? first : messages.size() - 1;
        const bool takes_system = spaces_.system != System::own && i == place && !system.empty();
        if (messages[i].role == Role::user) {
          sink.text(i == first ? spaces_.before : spaces_.next);
          emit_user(takes_system ? system : "", messages[i].content, sink);
        } else {
          emit_reply(messages[i].content, sink);
        }
      }
    });
  }
  void stops(TextSink& sink) const noexcept override {
    sink.text("</s>");
    sink.text("[INST]");
  }
  void release() noexcept override { delete this; }

 private:
  void emit_user(std::string_view system, std::string_view content, PieceSink& sink) const {
    sink.added_token("[INST]");
    sink.text(spaces_.in);
    sink.text(system);
    if (!system.empty()) sink.text("\n\n");
    sink.text(content);
    sink.text(spaces_.out);
    sink.added_token("[/INST]");
  }
  void emit_reply(std::string_view content, PieceSink& sink) const {
    sink.text(spaces_.reply);
    sink.text(spaces_.trims_replies ? formats::trimmed(content) : content);
    sink.control(Control::eos);
  }

  const Spaces& spaces_;
  std::string default_system_;
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Mistral>({
    .name = "mistral",
    .version = "1.0.0",
    .help = "Mistral Instruct: [INST] ... [/INST], in the spaces of its tokenizers",
    .source = "the chat templates of mistralai's models; docs.mistral.ai cookbook, chat templates",
    .options = kOptions,
});
