#include "core/bpe/merge_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/bpe/byte_map.h"
#include "core/bpe/merge_word.h"
#include "core/json/json_fields.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxStretch = size_t{1} << 20;
constexpr size_t kMinPairBits = size_t{1} << 12, kMaxPairBits = size_t{1} << 24;
constexpr char kDamaged[] = "The file is damaged: download it again";

// Bytes that any vocabulary of text has: ASCII that is printed, tab and line feed.
bool is_common(uint8_t byte) {
  return byte == '\t' || byte == '\n' || (byte >= 0x20 && byte < 0x7f);
}

[[noreturn]] void refuse_merges(const JsonSource& source, std::string_view field,
                                std::string_view what) {
  throw Error(source.code, fmt::format("{}: {}", source.file, field), what, kDamaged);
}

}  // namespace

MergeEncoder::MergeEncoder(const BpeVocabulary& vocabulary, MergeOptions options,
                           const JsonSource& source)
    : vocabulary_(vocabulary),
      model_(vocabulary.model()),
      options_(std::move(options)),
      merges_(model_.merges.size()) {
  bytes_.fill(-1);
  read_bytes(source);
  for (const int32_t id : bytes_) options_.never.erase(id);
  options_.never.erase(vocabulary_.unknown());
  read_merges(source);
  for (size_t c = 0; c < ascii_.size(); ++c) {
    const char character = static_cast<char>(c);
    ascii_[c] = spelled({&character, 1});
  }
  if (!options_.byte_level) read_pairs();
}

void MergeEncoder::read_bytes(const JsonSource& source) {
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto value = static_cast<uint8_t>(byte);
    if (options_.byte_level) {
      bytes_[byte] = vocabulary_.find(byte_character(value));
      if (bytes_[byte] < 0 && is_common(value))
        refuse_merges(
            source, "model.vocab",
            fmt::format("\"{}\", the token of the byte 0x{:02X}, is missing, expected one",
                        byte_character(value), byte));
    } else if (model_.byte_fallback) {
      const std::string name = fmt::format("<0x{:02X}>", byte);
      bytes_[byte] = vocabulary_.find(name);
      if (bytes_[byte] < 0)
        refuse_merges(
            source, "model.vocab",
            fmt::format("\"{}\" is missing, expected all 256 bytes for byte_fallback", name));
    }
  }
}

int32_t MergeEncoder::spelled(std::string_view name) const {
  const int32_t id = vocabulary_.find(name);
  return options_.never.contains(id) ? -1 : id;
}

void MergeEncoder::read_merges(const JsonSource& source) {
  std::string name;
  for (size_t i = 0; i < model_.merges.size(); ++i) {
    const auto [left, right] = model_.merges[i];
    const auto id_of = [&](std::string_view part, const char* what) {
      const int32_t id = vocabulary_.find(part);
      if (id < 0)
        refuse_merges(source, fmt::format("model.merges[{}]", i),
                      fmt::format("{}\"{}\" is not in the vocabulary", what, printable(part)));
      return id;
    };
    const int32_t left_id = id_of(model_.text(left), "");
    const int32_t right_id = id_of(model_.text(right), "");
    name.assign(model_.text(left)).append(model_.text(right));
    const int32_t id = id_of(name, "what it makes, ");
    // A merge that is there twice has the later rank, as in tokenizers.
    if (!options_.never.contains(id))
      merges_.insert(left_id, right_id, {static_cast<uint32_t>(i), id});
  }
}

// A cut between two characters that no token holds side by side is one that no merge crosses.
void MergeEncoder::read_pairs() {
  may_cut_ = model_.byte_fallback || (!model_.fuse_unknown && vocabulary_.unknown() >= 0);
  if (!may_cut_) return;  // unknown characters fuse, or vanish from between others, across any cut
  pairs_.resize(std::bit_ceil(std::clamp(8 * model_.names.size(), kMinPairBits, kMaxPairBits)));
  for (const BpeModel::Entry& entry : model_.vocabulary) {
    const std::string_view text = model_.text(entry.name);
    uint32_t left = 0;
    for (size_t i = 0; i < text.size();) {
      const size_t length = utf8_sequence_length(text.substr(i));
      const uint32_t right = utf8_code_point(text.substr(i, length));
      if (i > 0) pairs_[seeded_pair_hash(seed_, left, right) & (pairs_.size() - 1)] = true;
      left = right;
      i += length;
    }
  }
}

void MergeEncoder::append(std::string_view piece, std::vector<int32_t>& ids,
                          PieceCache& cache) const {
  if (!options_.byte_level && model_.ignore_merges) {
    const int32_t id = spelled(piece);
    if (id >= 0) return ids.push_back(id);
  }
  while (!piece.empty()) {
    const size_t length = stretch_length(piece);
    append_stretch(piece.substr(0, length), ids, cache);
    piece.remove_prefix(length);
  }
}

// Bytes up to the first place where the piece may be cut.
size_t MergeEncoder::stretch_length(std::string_view piece) const {
  if (!may_cut_ && piece.size() <= kMaxStretch) return piece.size();
  uint32_t left = 0;
  size_t i = 0;
  while (may_cut_ && i < piece.size() && i < kMaxStretch) {
    const size_t length = utf8_sequence_length(piece.substr(i));
    const uint32_t right = utf8_code_point(piece.substr(i, length));
    if (i > 0 && !may_be_pair(left, right)) return i;
    left = right;
    i += length;
  }
  if (i == piece.size()) return i;
  throw Error(
      ExitCode::limit, "text",
      fmt::format("found more than {} bytes without a place to cut, expected fewer", kMaxStretch),
      "Break the run of characters, or give the text in parts");
}

void MergeEncoder::append_stretch(std::string_view stretch, std::vector<int32_t>& ids,
                                  PieceCache& cache) const {
  PieceCache::Slot& slot = cache.slot(stretch);
  const size_t first = ids.size();
  if (slot.piece == stretch) {
    ids.resize(first + slot.count);
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(slot.first), slot.count,
                ids.begin() + static_cast<std::ptrdiff_t>(first));
    return;
  }
  int32_t whole = -1;
  if (options_.byte_level && model_.ignore_merges) {
    std::string name;
    for (const char byte : stretch) name += byte_character(static_cast<uint8_t>(byte));
    whole = spelled(name);
  }
  if (whole >= 0) {
    ids.push_back(whole);
  } else {
    append_characters(stretch, ids);
    merge_word(merges_, ids, first);
  }
  slot = {stretch, first, ids.size() - first};
}

void MergeEncoder::append_characters(std::string_view stretch, std::vector<int32_t>& ids) const {
  bool after_unknown = false;
  const auto push = [&](int32_t id) {
    if (id >= 0)
      ids.push_back(id);
    else if (vocabulary_.unknown() >= 0 && !(after_unknown && model_.fuse_unknown))
      ids.push_back(vocabulary_.unknown());
    after_unknown = id < 0;
  };
  if (options_.byte_level) {
    for (const char byte : stretch) push(bytes_[static_cast<unsigned char>(byte)]);
    return;
  }
  while (!stretch.empty()) {
    const size_t length = utf8_sequence_length(stretch);
    const std::string_view character = stretch.substr(0, length);
    stretch.remove_prefix(length);
    const int32_t id =
        length == 1 ? ascii_[static_cast<unsigned char>(character[0])] : spelled(character);
    if (id >= 0 || !model_.byte_fallback)
      push(id);
    else
      for (const char byte : character) push(bytes_[static_cast<unsigned char>(byte)]);
  }
}

void MergeEncoder::append_byte(uint8_t byte, std::vector<int32_t>& ids) const {
  const int32_t id = bytes_[byte] >= 0 ? bytes_[byte] : vocabulary_.unknown();
  if (id >= 0) ids.push_back(id);
}

bool MergeEncoder::is_spelled(int32_t id) const {
  if (id < 0) return false;
  const bool has_bytes = options_.byte_level || model_.byte_fallback;
  return has_bytes ? std::find(bytes_.begin(), bytes_.end(), id) != bytes_.end()
                   : id == vocabulary_.unknown();
}

}  // namespace ropewalk
