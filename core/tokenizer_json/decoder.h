// decoder.h — what each token adds to a text, from tokenizer.json's decoder.
//
// tokenizers decodes a list of names; here each name is decoded for itself, so that a reply can be
// printed as it comes. What depends on the place, the space in front of the first, is told apart.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json_fwd.h"

namespace ropewalk {

struct DecodedName {
  std::string bytes;
  // How many of the spaces that they begin with are the tokenizer's own where the token is the
  // first of a text.
  uint32_t own_spaces = 0;
};

class Decoder {
 public:
  // Takes ByteLevel, Metaspace, or in this order: Replace of a text, ByteFallback, Fuse and a Strip
  // of one space in front. Throws Error (model) for any other.
  Decoder(const Json& decoder, const JsonSource& source);

  DecodedName decode(std::string_view name) const;

 private:
  enum class Stage { none, replace, byte_fallback, fuse, strip, alone };
  struct Replacement {
    std::string pattern, content;
  };

  void take(const std::string& type, const JsonFields& fields);
  void enter(Stage stage, const JsonFields& fields);

  bool byte_level_ = false, byte_fallback_ = false, strips_one_ = false, strips_all_ = false;
  std::vector<Replacement> replacements_;
  Stage stage_ = Stage::none;  // of the component read last
};

}  // namespace ropewalk
