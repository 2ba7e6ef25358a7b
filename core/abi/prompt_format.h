// prompt_format.h — how a conversation becomes the text that a model was trained on.
//
// A format emits pieces. Text is tokenised as plain text, neighbouring pieces as one run, so what a
// user types can never become a control token: `</s>` in a message is four characters. Only the
// format emits control tokens, by name.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/abi/plugin.h"

namespace ropewalk::abi {

enum class Role : uint32_t { system = 0, user = 1, assistant = 2 };

struct Message {
  Role role;
  std::string_view content;  // UTF-8
};

enum class Control : uint32_t { bos = 0, eos = 1 };

class PieceSink {
 public:
  virtual void text(std::string_view utf8) noexcept = 0;
  virtual void control(Control token) noexcept = 0;
  // A token that the model added to its vocabulary, such as "<|im_start|>". Where the vocabulary
  // has no such token the same characters are emitted as text.
  virtual void added_token(std::string_view name) noexcept = 0;

 protected:
  ~PieceSink() = default;
};

class TextSink {
 public:
  virtual void text(std::string_view utf8) noexcept = 0;

 protected:
  ~TextSink() = default;
};

// Stateless after construction; one object serves every conversation.
class PromptFormat {
 public:
  static constexpr ModuleKind kKind = ModuleKind::prompt_format;

  // The system message used where the conversation has none; may be empty.
  virtual void default_system(TextSink& sink) const noexcept = 0;
  // Renders `messages` (an optional system message, then user and assistant alternating). Where the
  // last one is the user's, the start of the assistant's reply follows. An invalid_argument status
  // names the message that the format cannot take.
  virtual Status render(std::span<const Message> messages, PieceSink& sink) const noexcept = 0;
  // Texts that end a reply, beside the end-of-sequence token.
  virtual void stops(TextSink& sink) const noexcept = 0;
  virtual void release() noexcept = 0;

 protected:
  ~PromptFormat() = default;
};

}  // namespace ropewalk::abi
