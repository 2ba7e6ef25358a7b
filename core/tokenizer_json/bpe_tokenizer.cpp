#include "core/tokenizer_json/bpe_tokenizer.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "core/bpe/merge_encoder.h"
#include "core/json/json_fields.h"
#include "core/tokenizer_json/added_matcher.h"
#include "core/tokenizer_json/pre_tokenizer.h"

namespace ropewalk {
namespace {

AddedMatcher matcher_of(const std::vector<AddedToken>& added, bool normalized,
                        const Normalizer& normalizer) {
  std::vector<const AddedToken*> tokens;
  std::vector<std::string> names;
  for (const AddedToken& token : added) {
    if (token.normalized != normalized) continue;
    tokens.push_back(&token);
    names.push_back(normalized ? normalizer.apply(token.name, TextPlace::first) : token.name);
  }
  return AddedMatcher(std::move(tokens), names);
}

MergeOptions merge_options(const std::vector<AddedToken>& added, bool byte_level) {
  MergeOptions options{.byte_level = byte_level};
  for (const AddedToken& token : added)
    if (token.special) options.never.insert(token.id);
  return options;
}

}  // namespace

struct BpeTokenizer::Parts {
  Parts(const TokenizerJsonFile& file, const BpeVocabulary& vocabulary,
        const std::vector<AddedToken>& added, const JsonSource& source)
      : normalizer(file.normalizer, source),
        pre_tokenizer(file.pre_tokenizer, source),
        decoder(file.decoder, source),
        encoder(vocabulary, merge_options(added, pre_tokenizer.byte_level()), source),
        raw(matcher_of(added, false, normalizer)),
        normalized(matcher_of(added, true, normalizer)) {}

  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Decoder decoder;
  MergeEncoder encoder;
  AddedMatcher raw, normalized;  // tokens found before and after normalising
};

BpeTokenizer::BpeTokenizer(std::unique_ptr<const BpeVocabulary> vocabulary,
                           const TokenizerJsonFile& file, std::vector<AddedToken> added,
                           const JsonSource& source)
    : vocabulary_(std::move(vocabulary)),
      added_(std::move(added)),
      parts_(std::make_unique<Parts>(file, *vocabulary_, added_, source)) {}

BpeTokenizer::~BpeTokenizer() = default;

void BpeTokenizer::append(std::string_view text, FindAdded find, TextPlace place,
                          std::vector<int32_t>& ids) const {
  for (std::string_view rest = text; !rest.empty();) {
    const size_t valid = std::min(utf8_first_error(rest), rest.size());
    if (valid > 0) append_valid(rest.substr(0, valid), find, place, ids);
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    parts_->encoder.append_byte(static_cast<uint8_t>(rest[0]), ids);
    place = TextPlace::continued;
    rest.remove_prefix(1);
  }
}

void BpeTokenizer::append_valid(std::string_view text, FindAdded find, TextPlace place,
                                std::vector<int32_t>& ids) const {
  const auto skip = [&](const AddedToken& token) {
    return find == FindAdded::plain && (token.special || reserved_.contains(token.id));
  };
  for (const CutPart& part : parts_->raw.cut(text, skip)) {
    if (part.token) {
      ids.push_back(part.token->id);
      continue;
    }
    TextPlace here = part.text.data() == text.data() ? place : TextPlace::later;
    const std::string normal = parts_->normalizer.apply(std::string(part.text), here);
    for (const CutPart& piece : parts_->normalized.cut(normal, skip)) {
      if (piece.token)
        ids.push_back(piece.token->id);
      else
        append_plain(std::string(piece.text), here, ids);
      here = TextPlace::later;
    }
  }
}

void BpeTokenizer::append_plain(std::string text, TextPlace place,
                                std::vector<int32_t>& ids) const {
  const CutText cut = parts_->pre_tokenizer.cut(std::move(text), place);
  PieceCache cache(cut.text.size());
  const std::string_view view = cut.text;
  for (const TextRange& piece : cut.pieces)
    parts_->encoder.append(view.substr(piece.begin, piece.end - piece.begin), ids, cache);
}

bool BpeTokenizer::byte_level() const { return parts_->pre_tokenizer.byte_level(); }

std::vector<DecodedName> BpeTokenizer::texts() const {
  std::vector<DecodedName> texts(vocabulary_->rows());
  for (size_t id = 0; id < texts.size(); ++id)
    texts[id] = parts_->decoder.decode(vocabulary_->name_of(static_cast<int32_t>(id)));
  for (const AddedToken& token : added_) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= texts.size()) texts.resize(id + 1);
    texts[id] = token.special ? DecodedName{} : parts_->decoder.decode(token.name);
  }
  return texts;
}

bool BpeTokenizer::is_spelled(int32_t id) const { return parts_->encoder.is_spelled(id); }

}  // namespace ropewalk
