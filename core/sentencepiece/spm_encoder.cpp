#include "core/sentencepiece/spm_encoder.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <unordered_map>
#include <utility>

#include "core/base/error.h"
#include "core/base/utf8.h"

namespace ropewalk {
namespace {

constexpr size_t kRemembered = 100'000;  // stretches; bounds the memory, a language has fewer words
constexpr size_t kMaxStretch = size_t{1} << 20;
constexpr uint32_t kSpace = 0x2581;

// The code point of a well-formed sequence, a space as the vocabulary writes it.
uint32_t code_point(std::string_view sequence) {
  return sequence == " " ? kSpace : utf8_code_point(sequence);
}

uint64_t pair_key(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }

}  // namespace

struct SpmEncoder::Impl {
  sentencepiece::SentencePieceProcessor processor;
};

SpmEncoder::SpmEncoder(const TokenizerModel& model)
    // Without byte pieces sentencepiece fuses neighbouring unknown characters, across any cut.
    : impl_(std::make_unique<Impl>()), may_cut_(model.byte_fallback) {
  const auto status = impl_->processor.LoadFromSerializedProto(serialize_for_sentencepiece(model));
  if (!status.ok())
    throw Error(ExitCode::model, "tokenizer.model",
                fmt::format("sentencepiece refuses it: {}", status.message()),
                "The file is damaged: download it again");
  for (const ModelPiece& piece : model.pieces) {
    const std::string_view text = piece.text;
    uint32_t left = 0;
    for (size_t i = 0; i < text.size();) {
      const size_t length = utf8_sequence_length(text.substr(i));
      const uint32_t right = code_point(text.substr(i, length));
      if (i > 0) pairs_.insert(pair_key(left, right));
      left = right;
      i += length;
    }
  }
}

SpmEncoder::~SpmEncoder() = default;

void SpmEncoder::append(std::string_view text, std::vector<int32_t>& ids) const {
  std::unordered_map<std::string_view, std::pair<size_t, size_t>> seen;  // first and count in `ids`
  std::vector<int> some;
  while (!text.empty()) {
    const std::string_view stretch = text.substr(0, stretch_length(text));
    text.remove_prefix(stretch.size());
    if (const auto found = seen.find(stretch); found != seen.end()) {
      const auto [first, count] = found->second;
      for (size_t i = first; i < first + count; ++i) ids.push_back(int32_t{ids[i]});
      continue;
    }
    const auto status = impl_->processor.Encode(stretch, &some);
    if (!status.ok())
      throw Error(ExitCode::model, "tokenizer.model",
                  fmt::format("sentencepiece cannot encode a text: {}", status.message()), "");
    if (seen.size() < kRemembered) seen.emplace(stretch, std::pair(ids.size(), some.size()));
    ids.insert(ids.end(), some.begin(), some.end());
  }
}

// Bytes up to the first place where the text may be cut.
size_t SpmEncoder::stretch_length(std::string_view text) const {
  uint32_t left = 0;
  size_t i = 0;
  while (i < text.size() && i < kMaxStretch) {
    const size_t length = utf8_sequence_length(text.substr(i));
    const uint32_t right = code_point(text.substr(i, length));
    if (i > 0 && may_cut_ && !pairs_.contains(pair_key(left, right))) return i;
    left = right;
    i += length;
  }
  if (i == text.size()) return i;
  throw Error(
      ExitCode::limit, "text",
      fmt::format("found more than {} bytes without a place to cut, expected fewer", kMaxStretch),
      "Break the run of characters, or give the text in parts");
}

}  // namespace ropewalk
