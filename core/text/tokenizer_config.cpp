#include "core/text/tokenizer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// Every id gets a row in the table of decoded texts, so a file must not name one far outside.
constexpr uint64_t kMaxBeyondModel = 1'000'000;
// Far more than any model has; looking one up costs a walk over all.
constexpr size_t kMaxAdded = 10'000;
// transformers' SPECIAL_TOKENS_ATTRIBUTES, in the order in which missing ones get new ids.
constexpr const char* kSpecialKeys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};

class Reader {
 public:
  explicit Reader(const TokenizerModel& model) : model_(model) {
    for (size_t id = 0; id < model.pieces.size(); ++id)
      piece_ids_.emplace(model.pieces[id].text, static_cast<int32_t>(id));
  }

  TokenizerConfig read(const TokenizerJson& json);

 private:
  void read_config(const std::string& text);
  void read_special_map(const std::string& text);
  void read_added_json(const std::string& text);
  void read_names(const JsonFields& fields);
  void read_name(const Json& value, const std::string& key, const JsonFields& fields);
  void read_decoder(const JsonFields& decoder);
  void add(AddedToken token, const JsonFields& fields);
  void add_special(const std::string& name);
  void require(const std::string& name) const;

  const TokenizerModel& model_;
  std::unordered_map<std::string_view, int32_t> piece_ids_;
  TokenizerConfig config_;
  std::unordered_map<std::string, size_t> names_;  // places in config_.added
  std::unordered_set<int32_t> ids_;
  bool has_decoder_ = false;
  std::vector<std::pair<std::string, std::string>> specials_;  // key and name
  std::vector<std::string> additional_;
};

void check_count(const JsonFields& fields, std::string_view key, size_t count) {
  if (count > kMaxAdded)
    fields.fail(key, fmt::format("found {} tokens, expected at most {}", count, kMaxAdded), "");
}

// A token is written as its name or as {"content": name, ...}.
std::optional<std::string> token_name(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string())
    return value["content"].get<std::string>();
  return std::nullopt;
}

TokenizerConfig Reader::read(const TokenizerJson& json) {
  if (json.tokenizer_config) read_config(*json.tokenizer_config);
  if (!has_decoder_ && json.special_tokens_map) read_special_map(*json.special_tokens_map);
  if (!has_decoder_ && json.added_tokens) read_added_json(*json.added_tokens);
  std::unordered_map<std::string, std::string> by_key(specials_.begin(), specials_.end());
  by_key.try_emplace("bos_token", model_.bos_piece);
  by_key.try_emplace("eos_token", model_.eos_piece);
  by_key.try_emplace("unk_token", model_.pieces[static_cast<size_t>(model_.unk_id)].text);
  config_.bos = by_key["bos_token"];
  config_.eos = by_key["eos_token"];
  for (const std::string& name : {config_.bos, config_.eos}) require(name);
  for (const char* key : kSpecialKeys)
    if (const auto found = by_key.find(key); found != by_key.end()) add_special(found->second);
  for (const std::string& name : additional_) add_special(name);
  return std::move(config_);
}

void Reader::read_config(const std::string& text) {
  const JsonSource source{"tokenizer_config.json", ExitCode::model};
  const Json json = parse_json(text, source);
  const JsonFields fields(json, source, "");
  if (fields.has("legacy")) config_.legacy = fields.boolean("legacy");
  if (fields.has("add_bos_token")) config_.add_bos = fields.boolean("add_bos_token");
  if (fields.has("add_prefix_space")) config_.add_prefix_space = fields.boolean("add_prefix_space");
  read_names(fields);
  has_decoder_ = fields.has("added_tokens_decoder");
  if (!has_decoder_) return;
  const JsonFields decoder = fields.child("added_tokens_decoder");
  check_count(fields, "added_tokens_decoder", decoder.json().size());
  read_decoder(decoder);
}

void Reader::read_special_map(const std::string& text) {
  const JsonSource source{"special_tokens_map.json", ExitCode::model};
  const Json json = parse_json(text, source);
  read_names(JsonFields(json, source, ""));
}

void Reader::read_names(const JsonFields& fields) {
  for (const char* key : kSpecialKeys) {
    if (!fields.has(key)) continue;
    const std::optional<std::string> name = token_name(fields.json()[key]);
    if (!name)
      fields.fail(key, "found neither a name nor an object with a \"content\"",
                  "Write the token's name");
    if (name->empty()) continue;  // the first conversions of Llama have them so
    std::erase_if(specials_, [&](const auto& entry) { return entry.first == key; });
    specials_.emplace_back(key, *name);
  }
  if (!fields.has("additional_special_tokens")) return;
  const Json& list = fields.json()["additional_special_tokens"];
  check_count(fields, "additional_special_tokens", list.size());
  for (const Json& value : list) {
    const std::optional<std::string> name = list.is_array() ? token_name(value) : std::nullopt;
    if (!name) fields.fail("additional_special_tokens", "found something other than names", "");
    additional_.push_back(*name);
  }
}

void Reader::read_decoder(const JsonFields& decoder) {
  for (const auto& [key, value] : decoder.json().items()) {
    uint64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    const std::optional<std::string> name = token_name(value);
    if (error != std::errc{} || end != key.data() + key.size() || !name)
      decoder.fail(key, "expected a token id with an object that has a \"content\"", "");
    const JsonFields fields = decoder.child(key);
    const auto flag = [&](const char* flag_name) {
      return fields.has(flag_name) && fields.boolean(flag_name);
    };
    if (id >= model_.pieces.size() + kMaxBeyondModel)
      decoder.fail(key,
                   fmt::format("the id is too large, expected less than {}",
                               model_.pieces.size() + kMaxBeyondModel),
                   "");
    add({.name = *name,
         .id = static_cast<int32_t>(id),
         .special = flag("special"),
         .strips_left = flag("lstrip"),
         .strips_right = flag("rstrip"),
         .single_word = flag("single_word")},
        decoder);
  }
}

void Reader::read_added_json(const std::string& text) {
  const JsonSource source{"added_tokens.json", ExitCode::model};
  const Json json = parse_json(text, source);
  const JsonFields fields(json, source, "");
  check_count(fields, "", json.size());
  const auto is_special = [&](const std::string& name) {
    return std::find(additional_.begin(), additional_.end(), name) != additional_.end() ||
           std::any_of(specials_.begin(), specials_.end(),
                       [&](const auto& entry) { return entry.second == name; });
  };
  for (const auto& [name, value] : json.items()) {
    const uint64_t id =
        fields.unsigned_integer(name, 0, model_.pieces.size() + kMaxBeyondModel - 1);
    add({.name = name, .id = static_cast<int32_t>(id), .special = is_special(name)}, fields);
  }
}

void Reader::add(AddedToken token, const JsonFields& fields) {
  if (token.name.empty()) fields.fail(std::to_string(token.id), "the token's name is empty", "");
  if (!names_.emplace(token.name, config_.added.size()).second || !ids_.emplace(token.id).second)
    fields.fail(std::to_string(token.id),
                fmt::format("the name \"{}\" or the id is there twice, expected each once",
                            printable(token.name)),
                "");
  config_.added.push_back(std::move(token));
}

// A sequence cannot begin or end with a token that the model has no row for, or that text spells.
void Reader::require(const std::string& name) const {
  const auto piece = piece_ids_.find(name);
  const PieceType type = piece == piece_ids_.end()
                             ? PieceType::control
                             : model_.pieces[static_cast<size_t>(piece->second)].type;
  const bool present = piece != piece_ids_.end() || names_.contains(name);
  if (present && type != PieceType::byte && type != PieceType::unknown) return;
  throw Error(
      ExitCode::model, "tokenizer.model: pieces",
      fmt::format("{} \"{}\", expected one token for the beginning and one for the end of a "
                  "sequence",
                  present ? "a byte or the unknown piece is" : "no piece", printable(name)),
      "Name them in tokenizer_config.json as bos_token and eos_token");
}

void Reader::add_special(const std::string& name) {
  if (name.empty()) return;
  const auto known = names_.find(name);
  if (known != names_.end()) {
    config_.added[known->second].named = true;
    return;
  }
  const auto piece = piece_ids_.find(name);
  int32_t id = piece == piece_ids_.end() ? -1 : piece->second;
  if (id < 0) {
    id = static_cast<int32_t>(model_.pieces.size());
    for (const AddedToken& token : config_.added) id = std::max(id, token.id + 1);
  }
  names_.emplace(name, config_.added.size());
  config_.added.push_back({.name = name, .id = id, .special = true, .named = true});
}

}  // namespace

TokenizerConfig parse_tokenizer_config(const TokenizerJson& json, const TokenizerModel& model) {
  return Reader(model).read(json);
}

}  // namespace ropewalk
