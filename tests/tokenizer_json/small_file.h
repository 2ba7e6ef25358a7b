// small_file.h — the smallest tokenizer.json that is read, for tests that change a part of it.
#pragma once

#include <string>

#include "core/bpe/byte_map.h"
#include "core/text/bpe_text.h"
#include "core/text/tokenizer.h"

namespace ropewalk::test {

struct SmallFile {
  // Its own tokens come behind the 256 bytes.
  std::string vocabulary = R"("ab":256,"abc":257,"<s>":258)";
  std::string merges = R"("a b","ab c")";
  std::string model;  // further fields, each with a comma in front
  std::string added = R"({"id":258,"content":"<s>","special":true,"normalized":false})";
  std::string normalizer = "null";
  std::string pre_tokenizer = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})";
  std::string post_processor = "null";
  std::string decoder = R"({"type":"ByteLevel"})";
  std::string rest;  // as `model`

  // {"!":33 and so on, with a comma behind.
  static std::string bytes() {
    std::string json;
    for (int byte = 0; byte < 256; ++byte) {
      const std::string name = byte_character(static_cast<uint8_t>(byte));
      json += '"';
      if (name == "\"" || name == "\\") json += '\\';
      json += name + "\":" + std::to_string(byte) + ",";
    }
    return json;
  }

  std::string text() const {
    return R"({"version":"1.0","added_tokens":[)" + added + R"(],"normalizer":)" + normalizer +
           R"(,"pre_tokenizer":)" + pre_tokenizer + R"(,"post_processor":)" + post_processor +
           R"(,"decoder":)" + decoder + R"(,"model":{"type":"BPE")" + model + R"(,"vocab":{)" +
           bytes() + vocabulary + R"(},"merges":[)" + merges + "]}" + rest + "}";
  }
};

inline Tokenizer open_text(std::string_view text, const SideFiles& beside) {
  const JsonSource source{"tokenizer.json", ExitCode::model};
  return Tokenizer(make_bpe_text(parse_tokenizer_json(text, source), beside, source));
}

}  // namespace ropewalk::test
