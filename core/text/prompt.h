// prompt.h — from a conversation to the ids that the model reads.
//
// A prompt format emits pieces (core/abi/prompt_format.h); they are gathered here and become ids
// or, for `ropewalk render`, text. What a user wrote is always tokenised as text.
#pragma once

#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/abi/prompt_format.h"
#include "core/text/tokenizer.h"

namespace ropewalk {

struct ChatMessage {
  abi::Role role;
  std::string content;
};

enum class PieceKind { text, bos, eos, added };

struct PromptPiece {
  PieceKind kind;
  std::string text;  // of text; the name of an added token
};

// Gathers what a format emits; neighbouring texts become one piece.
class PieceCollector final : public abi::PieceSink {
 public:
  void text(std::string_view utf8) noexcept override;
  void control(abi::Control token) noexcept override;
  void added_token(std::string_view name) noexcept override;

  // Throws what went wrong while collecting (memory).
  std::vector<PromptPiece> take();

 private:
  void push(PieceKind kind, std::string_view text) noexcept;

  std::vector<PromptPiece> pieces_;
  std::exception_ptr failure_;
};

// Throws Error (usage) with the format's words where it cannot take the messages.
std::vector<PromptPiece> render_messages(const abi::PromptFormat& format,
                                         std::span<const ChatMessage> messages);

// BOS where the tokenizer adds one, and exactly one where the format emits it too; then the pieces.
// Where the model has no BOS or no EOS, a format that emits it emits nothing; where its texts have
// no BOS (Tokenizer::omits_bos()), the same.
// A text after a token is tokenised as transformers' slow LlamaTokenizer would tokenise the
// rendered string, with the tokens of the pieces recognised and those that a text spells not. The
// BOS in front does not count as such a token, because transformers adds it after tokenising.
std::vector<int32_t> prompt_ids(const Tokenizer& tokenizer, std::span<const PromptPiece> pieces);

// Texts and tokens of the prompt in their order, neighbouring texts joined, without a BOS in front.
std::vector<Segment> prompt_segments(const Tokenizer& tokenizer,
                                     std::span<const PromptPiece> pieces);

// The same as one text, tokens by their names.
std::string prompt_text(const Tokenizer& tokenizer, std::span<const PromptPiece> pieces);

// Ids of a text given as it is, without a format: BOS and text. A BOS that the text spells is not
// doubled.
std::vector<int32_t> raw_prompt_ids(const Tokenizer& tokenizer, std::string_view text,
                                    SpecialTokens special);

}  // namespace ropewalk
