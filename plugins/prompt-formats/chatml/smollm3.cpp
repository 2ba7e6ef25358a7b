// SmolLM3 (one text, cut here into lines; its system block ends without a mark):
//
//   <|im_start|>system\n## Metadata\n\nKnowledge Cutoff Date: June 2025\n
//   Today Date: 26 July 2024\nReasoning Mode: /think\n\n## Custom Instructions\n\nSYSTEM\n\n
//   <|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n
//
// "/think" or "/no_think" in the system text choose the mode, and /system_override leaves all of
// the block out but the system text. Without thinking every reply begins with an empty thought.
#include <array>
#include <string>

#include "plugins/prompt-formats/chatml/chatml.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::abi;

constexpr std::array kOptions = {
    formats::thinking_option("false: replies begin with an empty thought"),
    formats::date_option("26 July 2024"),
};

constexpr std::string_view kAssistant =
    "You are a helpful AI assistant named SmolLM, trained by "
    "Hugging Face.";
constexpr std::string_view kThinking =
    " Your role as an assistant involves thoroughly exploring questions through a systematic "
    "thinking process before providing the final precise and accurate solutions. This requires "
    "engaging in a comprehensive cycle of analysis, summarizing, exploration, reassessment, "
    "reflection, backtracking, and iteration to develop well-considered thinking process. Please "
    "structure your response into two main sections: Thought and Solution using the specified "
    "format: <think> Thought section </think> Solution section. In the Thought section, detail "
    "your reasoning process in steps. Each step should include detailed considerations such as "
    "analysing questions, summarizing relevant findings, brainstorming new ideas, verifying the "
    "accuracy of the current steps, refining any errors, and revisiting previous steps. In the "
    "Solution section, based on various attempts, explorations, and reflections from the Thought "
    "section, systematically present the final solution that you deem correct. The Solution "
    "section should be logical, accurate, and concise and detail necessary steps needed to reach "
    "the conclusion.";
constexpr std::string_view kThink = "/think", kNoThink = "/no_think";

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Without each `part`.
std::string without(std::string text, std::string_view part) {
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos;) text.erase(at, part.size());
  return text;
}

class SmolLm3 final : public PromptFormat {
 public:
  explicit SmolLm3(const Options& options)
      : thinks_(options.boolean("thinking")), date_(options.text("date")) {}

  void default_system(TextSink&) const noexcept override {}
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    return guard([&] {
      const size_t first = formats::check_turns(messages);
      const std::string_view system = first == 1 ? messages[0].content : "";
      const bool thinks = !contains(system, kNoThink) && (thinks_ || contains(system, kThink));
      formats::open_chatml("system", sink);
      emit_system(system, thinks, sink);
      for (const Message& message : messages.subspan(first)) {
        std::string_view content = message.content;
        if (message.role == Role::user) {
          formats::open_chatml("user", sink);
        } else {
          open_reply(thinks, sink);
          content.remove_prefix(std::min(content.find_first_not_of('\n'), content.size()));
        }
        sink.text(content);
        formats::close_chatml(sink);
      }
      if (formats::awaits_reply(messages)) open_reply(thinks, sink);
    });
  }
  void stops(TextSink& sink) const noexcept override {
    for (const std::string_view stop : formats::kChatmlStops) sink.text(stop);
  }
  void release() noexcept override { delete this; }

 private:
  void emit_system(std::string_view system, bool thinks, PieceSink& sink) const {
    constexpr std::string_view kOverride = "/system_override";
    const std::string told = without(without(std::string(system), kNoThink), kThink);
    std::string_view custom = formats::trimmed_right(told);
    if (contains(system, kOverride)) {
      sink.text(formats::trimmed_right(without(std::string(custom), kOverride)));
      return formats::close_chatml(sink);
    }
    sink.text("## Metadata\n\nKnowledge Cutoff Date: June 2025\nToday Date: ");
    sink.text(date_);
    sink.text("\nReasoning Mode: ");
    sink.text(thinks ? kThink : kNoThink);
    sink.text("\n\n## Custom Instructions\n\n");
    if (custom.empty()) sink.text(kAssistant);
    if (custom.empty() && thinks) sink.text(kThinking);
    sink.text(custom);
    sink.text("\n\n");
  }
  static void open_reply(bool thinks, PieceSink& sink) {
    formats::open_chatml("assistant", sink);
    if (thinks) return;
    sink.added_token("<think>");
    sink.text("\n\n");
    sink.added_token("</think>");
    sink.text("\n");
  }

  bool thinks_;
  std::string date_;
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, SmolLm3>({
    .name = "smollm3",
    .version = "1.0.0",
    .help = "SmolLM3: ChatML with its system block, with or without thinking",
    .source = "the chat template of HuggingFaceTB/SmolLM3-3B",
    .options = kOptions,
});
