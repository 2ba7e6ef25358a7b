#include "core/text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/sentencepiece/spm_encoder.h"
#include "core/text/model_file.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxModelFile = size_t{64} << 20;
constexpr size_t kMaxJsonFile = size_t{16} << 20;
constexpr size_t kMaxText = size_t{16} << 20;
constexpr std::string_view kSpace = "\xe2\x96\x81";        // U+2581, a space in the vocabulary
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

std::string with_spaces(std::string_view piece) {
  std::string text(piece);
  for (size_t at = 0; (at = text.find(kSpace, at)) != std::string::npos; ++at)
    text.replace(at, kSpace.size(), " ");
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

Tokenizer Tokenizer::open(const std::filesystem::path& model_dir, std::optional<bool> legacy) {
  const std::filesystem::path file = model_dir / "tokenizer.model";
  const std::optional<std::string> bytes = read_model_file(file, kMaxModelFile);
  if (!bytes && std::filesystem::exists(model_dir / "tokenizer.json"))
    throw Error(ExitCode::model, file.string(),
                "no such file, found only tokenizer.json, expected sentencepiece's model",
                "Take tokenizer.model from the base model's repository");
  if (!bytes)
    throw Error(ExitCode::model, file.string(), "no such file, expected sentencepiece's model",
                "Download the model's tokenizer.model");
  TokenizerModel model = parse_tokenizer_model(*bytes, "tokenizer.model");
  const auto json = [&](const char* name) {
    return read_model_file(model_dir / name, kMaxJsonFile);
  };
  TokenizerConfig config =
      parse_tokenizer_config({.tokenizer_config = json("tokenizer_config.json"),
                              .special_tokens_map = json("special_tokens_map.json"),
                              .added_tokens = json("added_tokens.json")},
                             model);
  config.legacy = legacy.value_or(config.legacy);
  return Tokenizer(std::move(model), std::move(config));
}

// REQUIRES: config.bos and config.eos are among config.added, as parse_tokenizer_config() ensures.
Tokenizer::Tokenizer(TokenizerModel model, TokenizerConfig config)
    : config_(std::move(config)),
      model_(with_special_tokens_as_control(std::move(model), config_)),
      added_(config_.added),
      bos_(added_.find(config_.bos)),
      eos_(added_.find(config_.eos)),
      byte_ids_(256, model_.unk_id),
      encoder_(std::make_unique<SpmEncoder>(model_)) {
  fill_texts();
}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

void Tokenizer::fill_texts() {
  const bool prefixes = config_.legacy ? model_.add_dummy_prefix : config_.add_prefix_space;
  for (size_t i = 0; i < model_.pieces.size(); ++i) {
    const ModelPiece& piece = model_.pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (piece.type == PieceType::byte) byte_ids_[piece_byte(piece.text)] = id;
    if (piece.text == kSpace) space_id_ = id;
    texts_.push_back(piece_text(piece, model_));
    spaced_.push_back(prefixes && piece.text.starts_with(kSpace) && texts_.back().starts_with(' '));
  }
  for (const AddedToken& token : added_.all()) {
    const auto id = static_cast<size_t>(token.id);
    if (token.id == model_.unk_id) continue;  // special, yet visible
    if (id >= texts_.size()) {
      texts_.resize(id + 1);
      spaced_.resize(id + 1);
    }
    texts_[id] = token.special ? "" : token.name;
    spaced_[id] = false;
  }
}

std::vector<int32_t> Tokenizer::encode_text(std::string_view text, SpecialTokens special) const {
  if (text.empty()) return {};
  if (special == SpecialTokens::parse) return encode_segments(added_.split(text));
  return encode_segments({{.text = std::string(text)}});
}

std::vector<int32_t> Tokenizer::encode_segments(std::vector<Segment> segments) const {
  size_t size = 0;
  for (const Segment& segment : segments) size += segment.text.size();
  if (size > kMaxText)
    throw Error(ExitCode::limit, "text",
                fmt::format("found {} bytes, expected at most {}", size, kMaxText),
                "Give the text in parts");
  const bool once = !config_.legacy && config_.add_prefix_space && size > 0;
  if (once) {
    if (segments.front().token) segments.insert(segments.begin(), Segment{});
    segments.front().text.insert(0, kSpace);
  }
  apply_token_flags(segments);
  std::vector<int32_t> ids;
  for (const Segment& segment : segments) {
    if (segment.token) {
      ids.push_back(segment.token->id);
    } else if (config_.legacy && model_.add_dummy_prefix && !segment.text.empty()) {
      append_plain(std::string(kSpace) + segment.text, ids);
    } else {
      append_plain(segment.text, ids);
    }
  }
  if (once && is_stray_space(ids)) ids.erase(ids.begin());
  return ids;
}

// The space in front of a text that turns out to begin with a special token.
bool Tokenizer::is_stray_space(const std::vector<int32_t>& ids) const {
  if (ids.size() < 2 || ids[0] != space_id_) return false;
  const AddedToken* token = added_.find_id(ids[1]);
  return token && token->named;
}

void Tokenizer::append_plain(std::string_view text, std::vector<int32_t>& ids) const {
  while (!text.empty()) {
    const size_t valid = std::min(utf8_first_error(text), text.size());
    encoder_->append(text.substr(0, valid), ids);
    text.remove_prefix(valid);
    if (text.empty()) break;
    ids.push_back(byte_ids_[static_cast<unsigned char>(text[0])]);
    text.remove_prefix(1);
  }
}

TokenText Tokenizer::text_of(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= texts_.size()) return {};
  return {.bytes = texts_[static_cast<size_t>(id)], .spaced = spaced_[static_cast<size_t>(id)]};
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string bytes;
  bool first = true;
  for (const int32_t id : ids) {
    const TokenText token = text_of(id);
    if (token.bytes.empty()) continue;
    bytes += token.bytes.substr(first && token.spaced ? 1 : 0);
    first = false;
  }
  std::string text;
  for (std::string_view rest = bytes; !rest.empty();) {
    const size_t valid = std::min(utf8_first_error(rest), rest.size());
    text += rest.substr(0, valid);
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    text += kReplacement;
    rest.remove_prefix(1);
  }
  return text;
}

}  // namespace ropewalk
