#include "core/text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "core/base/encoding.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/json/json.h"
#include "core/text/bpe_text.h"
#include "core/text/model_file.h"
#include "core/text/spm_text.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxModelFile = size_t{64} << 20;
constexpr size_t kMaxJsonFile = size_t{16} << 20;
constexpr size_t kMaxText = size_t{16} << 20;
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr char kModelFile[] = "tokenizer.model";
constexpr char kJsonFile[] = "tokenizer.json";

void check_size(size_t size) {
  if (size > kMaxText)
    throw Error(ExitCode::limit, "text",
                fmt::format("found {} bytes, expected at most {}", size, kMaxText),
                "Give the text in parts");
}

SideFiles read_json_files(const std::filesystem::path& model_dir) {
  const auto json = [&](const char* name) {
    std::optional<std::string> text = read_model_file(model_dir / name, kMaxJsonFile);
    if (text && text->starts_with(kByteOrderMark)) text->erase(0, kByteOrderMark.size());
    return text;
  };
  return {.tokenizer_config = json("tokenizer_config.json"),
          .special_tokens_map = json("special_tokens_map.json"),
          .added_tokens = json("added_tokens.json"),
          .folder = model_dir};
}

Tokenizer open_model(TokenizerModel model, const std::filesystem::path& model_dir,
                     std::optional<bool> legacy) {
  TokenizerConfig config = parse_tokenizer_config(read_json_files(model_dir), model);
  config.legacy = legacy.value_or(config.legacy);
  return Tokenizer(std::move(model), std::move(config));
}

Tokenizer open_json(const std::string& bytes, const std::filesystem::path& model_dir) {
  const JsonSource source{(model_dir / kJsonFile).string(), ExitCode::model};
  return Tokenizer(
      make_bpe_text(parse_tokenizer_json(bytes, source), read_json_files(model_dir), source));
}

// Whether the first line is "IQ== 0", a token in base64 and its rank: tiktoken's form.
bool holds_ranks(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, std::min(bytes.find('\n'), bytes.size()));
  const size_t space = line.find(' ');
  if (space == 0 || space == line.npos || space + 1 == line.size()) return false;
  const auto is_base64 = [](unsigned char c) {
    return std::isalnum(c) || c == '+' || c == '/' || c == '=';
  };
  const auto is_digit = [](unsigned char c) { return std::isdigit(c) || c == '\r'; };
  return std::ranges::all_of(line.substr(0, space), is_base64) &&
         std::ranges::all_of(line.substr(space + 1), is_digit);
}

// nullopt where `bytes` are no such model and `other`, a tokenizer.json, can be read in their
// place: Llama-3's repositories have a list of ranks under the name tokenizer.model.
std::optional<TokenizerModel> model_of(const std::string& bytes, const std::string& file,
                                       bool other) {
  try {
    if (holds_ranks(bytes))
      throw Error(ExitCode::model, file,
                  "found tiktoken's list of ranks, expected sentencepiece's model",
                  other ? "" : "Download the model's tokenizer.json");
    return parse_tokenizer_model(bytes, file);
  } catch (const Error& error) {
    if (!other) throw;
    note(fmt::format("{} {} is read in its place", error.what(), kJsonFile));
    return std::nullopt;
  }
}

}  // namespace

Tokenizer Tokenizer::open(const std::filesystem::path& model_dir, const TokenizerOptions& options) {
  const std::filesystem::path model = model_dir / kModelFile, json = model_dir / kJsonFile;
  if (options.source != TokenizerSource::json) {
    const std::optional<std::string> bytes = read_model_file(model, kMaxModelFile);
    const bool other = options.source == TokenizerSource::automatic && exists(json);
    if (std::optional<TokenizerModel> found;
        bytes && (found = model_of(*bytes, model.string(), other)))
      return open_model(std::move(*found), model_dir, options.legacy);
    if (options.source == TokenizerSource::sentencepiece)
      throw Error(ExitCode::model, model.string(), "no such file, expected sentencepiece's model",
                  exists(json) ? "Use tokenizer.source: json for the tokenizer.json that is there"
                               : "Download the model's tokenizer.model");
  }
  const std::optional<std::string> bytes = read_model_file(json, kMaxModelFile);
  if (bytes) return open_json(*bytes, model_dir);
  throw Error(ExitCode::model, json.string(),
              options.source == TokenizerSource::json
                  ? "no such file, expected the tokenizers library's model"
                  : "no such file, and no tokenizer.model beside it, expected one of them",
              "Download the model's tokenizer.json or tokenizer.model");
}

// REQUIRES: config.bos and config.eos are among config.added, as parse_tokenizer_config() ensures.
Tokenizer::Tokenizer(TokenizerModel model, TokenizerConfig config)
    : Tokenizer(TextParts{std::make_unique<SpmText>(std::move(model), config), config}) {}

Tokenizer::Tokenizer(TextParts parts)
    : encoder_(std::move(parts.encoder)),
      texts_(encoder_->texts()),
      bos_(added().find(parts.config.bos)),
      eos_(added().find(parts.config.eos)),
      add_bos_(parts.config.add_bos && bos_),
      omits_bos_(parts.config.omits_bos),
      legacy_(parts.config.legacy) {}

void Tokenizer::reserve(std::string_view name) {
  if (const AddedToken* token = added().find(name)) encoder_->reserve(*token);
}

void Tokenizer::set_add_bos(bool add) {
  add_bos_ = add && bos_;
  omits_bos_ = !add;
}

std::vector<int32_t> Tokenizer::encode_text(std::string_view text, SpecialTokens special) const {
  check_size(text.size());
  return encoder_->encode_text(text, special);
}

std::vector<int32_t> Tokenizer::encode_segments(std::vector<Segment> segments) const {
  size_t size = 0;
  for (const Segment& segment : segments) size += segment.text.size();
  check_size(size);
  return encoder_->encode_segments(std::move(segments));
}

TokenText Tokenizer::text_of(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= texts_.size()) return {};
  const DecodedName& text = texts_[static_cast<size_t>(id)];
  return {.bytes = text.bytes, .spaced = text.own_spaces};
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string bytes;
  bool first = true;
  for (const int32_t id : ids) {
    const TokenText token = text_of(id);
    if (token.bytes.empty()) continue;
    bytes += token.bytes.substr(first ? token.spaced : 0);
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
