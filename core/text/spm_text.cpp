#include "core/text/spm_text.h"

#include <algorithm>

#include "core/base/utf8.h"
#include "core/sentencepiece/spm_encoder.h"

namespace ropewalk {
namespace {

constexpr std::string_view kPieceSpace = "\xe2\x96\x81";  // U+2581, a space in the vocabulary

std::string with_spaces(std::string_view piece) {
  std::string text(piece);
  for (size_t at = 0; (at = text.find(kPieceSpace, at)) != std::string::npos; ++at)
    text.replace(at, kPieceSpace.size(), " ");
  return text;
}

// What a piece of the sentencepiece vocabulary adds to a text.
std::string piece_text(const ModelPiece& piece, const TokenizerModel& model) {
  switch (piece.type) {
    case PieceType::control:
      return "";
    case PieceType::unknown:
      return model.unk_surface;
    case PieceType::byte:
      return std::string(1, static_cast<char>(piece_byte(piece.text)));
    case PieceType::normal:
    case PieceType::user_defined:
    case PieceType::unused:
      break;
  }
  return with_spaces(piece.text);
}

// Some models keep special tokens as ordinary or user-defined pieces, which sentencepiece would
// find in what a user wrote.
TokenizerModel with_special_tokens_as_control(TokenizerModel model, const TokenizerConfig& config) {
  for (const AddedToken& token : config.added) {
    if (!token.special || static_cast<size_t>(token.id) >= model.pieces.size()) continue;
    PieceType& type = model.pieces[static_cast<size_t>(token.id)].type;
    if (type != PieceType::byte && type != PieceType::unknown) type = PieceType::control;
  }
  return model;
}

}  // namespace

SpmText::SpmText(TokenizerModel model, const TokenizerConfig& config)
    : TextEncoder(config.added),
      model_(with_special_tokens_as_control(std::move(model), config)),
      legacy_(config.legacy),
      add_prefix_space_(config.add_prefix_space),
      byte_ids_(256, model_.unk_id),
      encoder_(std::make_unique<SpmEncoder>(model_)) {
  for (size_t i = 0; i < model_.pieces.size(); ++i) {
    const ModelPiece& piece = model_.pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (piece.type == PieceType::byte) byte_ids_[piece_byte(piece.text)] = id;
    if (piece.text == kPieceSpace) space_id_ = id;
  }
}

SpmText::~SpmText() = default;

std::vector<DecodedName> SpmText::texts() const {
  const bool prefixes = legacy_ ? model_.add_dummy_prefix : add_prefix_space_;
  std::vector<DecodedName> texts;
  for (const ModelPiece& piece : model_.pieces) {
    DecodedName decoded{.bytes = piece_text(piece, model_)};
    decoded.own_spaces =
        prefixes && piece.text.starts_with(kPieceSpace) && decoded.bytes.starts_with(' ') ? 1 : 0;
    texts.push_back(std::move(decoded));
  }
  for (const AddedToken& token : added().all()) {
    const auto id = static_cast<size_t>(token.id);
    if (token.id == model_.unk_id) continue;  // special, yet visible
    if (id >= texts.size()) texts.resize(id + 1);
    texts[id] = {.bytes = token.special ? "" : token.name};
  }
  return texts;
}

std::vector<int32_t> SpmText::encode_text(std::string_view text, SpecialTokens special) const {
  if (text.empty()) return {};
  if (special == SpecialTokens::parse) return encode_segments(added().split(text));
  return encode_segments({{.text = std::string(text)}});
}

std::vector<int32_t> SpmText::encode_segments(std::vector<Segment> segments) const {
  const bool any_text = std::any_of(segments.begin(), segments.end(),
                                    [](const Segment& segment) { return !segment.text.empty(); });
  const bool once = !legacy_ && add_prefix_space_ && any_text;
  if (once) {
    if (segments.front().token) segments.insert(segments.begin(), Segment{});
    segments.front().text.insert(0, kPieceSpace);
  }
  apply_token_flags(segments);
  std::vector<int32_t> ids;
  for (const Segment& segment : segments) {
    if (segment.token) {
      ids.push_back(segment.token->id);
    } else if (legacy_ && model_.add_dummy_prefix && !segment.text.empty()) {
      append_plain(std::string(kPieceSpace) + segment.text, ids);
    } else {
      append_plain(segment.text, ids);
    }
  }
  if (once && is_stray_space(ids)) ids.erase(ids.begin());
  return ids;
}

// The space in front of a text that turns out to begin with a special token.
bool SpmText::is_stray_space(const std::vector<int32_t>& ids) const {
  if (ids.size() < 2 || ids[0] != space_id_) return false;
  const AddedToken* token = added().find_id(ids[1]);
  return token && token->named;
}

void SpmText::append_plain(std::string_view text, std::vector<int32_t>& ids) const {
  while (!text.empty()) {
    const size_t valid = std::min(utf8_first_error(text), text.size());
    encoder_->append(text.substr(0, valid), ids);
    text.remove_prefix(valid);
    if (text.empty()) break;
    ids.push_back(byte_ids_[static_cast<unsigned char>(text[0])]);
    text.remove_prefix(1);
  }
}

}  // namespace ropewalk
