// tokenizer_json_fuzz.cpp — any bytes as tokenizer.json: refused in words, or a tokenizer that
// encodes and decodes without a crash and never makes a special token out of what a user wrote.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"
#include "core/text/bpe_text.h"
#include "core/text/tokenizer.h"

namespace {

using namespace ropewalk;

void try_out(const Tokenizer& tokenizer) {
  std::string text = "\xff\xc3 ab 12\n\n";
  for (const AddedToken& token : tokenizer.added().all()) text += " " + token.name + token.name;
  for (const std::string_view written :
       {std::string_view(""), std::string_view(" a"),
        std::string_view("h\xc3\xa9llo  W\xe1\xa0\x8e \xf0\xb1\x8d\x90 3.14\r\n"),
        std::string_view(text)}) {
    std::vector<int32_t> ids;
    try {
      ids = tokenizer.encode_text(written, SpecialTokens::as_text);
    } catch (const Error& error) {
      if (error.code() != ExitCode::limit) std::abort();
    }
    for (const int32_t id : ids) {
      if (static_cast<uint32_t>(id) >= tokenizer.vocab_size()) std::abort();
      if (id == tokenizer.bos_id() || id == tokenizer.eos_id()) std::abort();
    }
    tokenizer.decode(ids);
    try {
      tokenizer.decode(tokenizer.encode_text(written, SpecialTokens::parse));
    } catch (const Error& error) {
      if (error.code() != ExitCode::limit) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const JsonSource source{"tokenizer.json", ExitCode::model};
  SideFiles beside;
  beside.tokenizer_config = R"({"eos_token":"</s>"})";
  try {
    TokenizerJsonFile file =
        parse_tokenizer_json({reinterpret_cast<const char*>(data), size}, source);
    try_out(Tokenizer(make_bpe_text(std::move(file), beside, source)));
  } catch (const Error& error) {
    if (error.code() != ExitCode::model) std::abort();
  }
  return 0;
}
