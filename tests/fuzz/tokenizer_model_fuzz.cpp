// tokenizer_model_fuzz.cpp — any bytes as tokenizer.model: refused in words, or a tokenizer that
// encodes and decodes without a crash and never makes a control token out of text.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/base/error.h"
#include "core/text/tokenizer.h"

namespace {

using namespace ropewalk;

void try_out(const Tokenizer& tokenizer) {
  for (const std::string_view text : {"", " a", "</s> hello\n", "\xff\xc3 ab"}) {
    const std::vector<int32_t> ids = tokenizer.encode_text(text, SpecialTokens::as_text);
    for (const int32_t id : ids) {
      if (id == tokenizer.bos_id() || id == tokenizer.eos_id()) std::abort();
      if (static_cast<uint32_t>(id) >= tokenizer.vocab_size()) std::abort();
    }
    tokenizer.decode(ids);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    TokenizerModel model =
        parse_tokenizer_model({reinterpret_cast<const char*>(data), size}, "tokenizer.model");
    TokenizerConfig config = parse_tokenizer_config({}, model);
    try_out(Tokenizer(std::move(model), std::move(config)));
  } catch (const Error&) {
  }
  return 0;
}
