// No format: a document to go on with. BOS, then the messages' contents joined as they are.
#include "core/abi/prompt_format.h"

namespace {

using namespace ropewalk::abi;

class Raw final : public PromptFormat {
 public:
  explicit Raw(const Options&) {}

  void default_system(TextSink&) const noexcept override {}
  Status render(std::span<const Message> messages, PieceSink& sink) const noexcept override {
    sink.control(Control::bos);
    for (const Message& message : messages) sink.text(message.content);
    return {};
  }
  void stops(TextSink&) const noexcept override {}
  void release() noexcept override { delete this; }
};

}  // namespace

const Module ropewalk_module = make_module<PromptFormat, Raw>({
    .name = "raw",
    .version = "1.0.0",
    .help = "No format: the text as it is, after BOS",
    .source = "Ropewalk",
});
