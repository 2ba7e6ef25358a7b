// added_token.h — a token beside the vocabulary's merges: <s>, </s>, or one that a fine-tune added.
#pragma once

#include <cstdint>
#include <string>

namespace ropewalk {

// As transformers' AddedToken (src/transformers/tokenization_utils_base.py) and the tokenizers
// library's (src/tokenizer/added_vocabulary.rs).
struct AddedToken {
  std::string name;
  int32_t id = 0;
  bool special = false;  // hidden from the reply
  bool named = false;    // bos_token, eos_token, ..., or an additional_special_token
  // White space that the token swallows in the text around it.
  bool strips_left = false;
  bool strips_right = false;
  // Beside a word character (tokenizer.model: beside anything but a space) the token is plain text.
  bool single_word = false;
  // Found in the normalised text, its name normalised too. tokenizer.json only.
  bool normalized = false;
};

}  // namespace ropewalk
