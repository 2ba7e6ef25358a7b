#include "core/text/tokenizer_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
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

// The tokens of the vocabulary itself, whichever file it is of.
struct KnownTokens {
  size_t rows;                                         // one more than the greatest id
  std::function<int32_t(std::string_view name)> find;  // -1: none
};

class Reader {
 public:
  Reader(KnownTokens known, std::vector<AddedToken> added) : known_(std::move(known)) {
    for (AddedToken& token : added) {
      names_.emplace(token.name, config_.added.size());
      ids_.insert(token.id);
      config_.added.push_back(std::move(token));
    }
  }

  void read(const SideFiles& json);
  // The name under a key such as bos_token, else `absent`.
  std::string name_of(const std::string& key, const std::string& absent) const;
  // Makes the token that stands under a key special, whatever its file says.
  void name(const std::string& key, const std::string& token);
  TokenizerConfig finish();

  bool is_added(const std::string& name) const { return names_.contains(name); }
  const std::string& tokenizer_class() const { return class_; }
  std::optional<bool> add_bos() const { return add_bos_; }

 private:
  void read_config(const std::string& text, const JsonSource& source);
  void read_special_map(const std::string& text, const JsonSource& source);
  void read_added_json(const std::string& text, const JsonSource& source);
  void read_names(const JsonFields& fields);
  void read_decoder(const JsonFields& decoder);
  void add(AddedToken token, const JsonFields& fields);
  void add_special(const std::string& name);

  KnownTokens known_;
  TokenizerConfig config_;
  std::unordered_map<std::string, size_t> names_;  // places in config_.added
  std::unordered_set<int32_t> ids_;
  std::unordered_set<int32_t> seen_;  // ids that the file being read has named
  bool has_decoder_ = false;
  std::string class_;
  std::optional<bool> add_bos_;
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

void Reader::read(const SideFiles& json) {
  if (json.tokenizer_config)
    read_config(*json.tokenizer_config, json.source("tokenizer_config.json"));
  if (!has_decoder_ && json.special_tokens_map)
    read_special_map(*json.special_tokens_map, json.source("special_tokens_map.json"));
  if (!has_decoder_ && json.added_tokens)
    read_added_json(*json.added_tokens, json.source("added_tokens.json"));
}

std::string Reader::name_of(const std::string& key, const std::string& absent) const {
  const auto found = std::find_if(specials_.begin(), specials_.end(),
                                  [&](const auto& entry) { return entry.first == key; });
  return found == specials_.end() ? absent : found->second;
}

void Reader::name(const std::string& key, const std::string& token) {
  std::erase_if(specials_, [&](const auto& entry) { return entry.first == key; });
  if (!token.empty()) specials_.emplace_back(key, token);
}

TokenizerConfig Reader::finish() {
  for (const char* key : kSpecialKeys) add_special(name_of(key, ""));
  for (const std::string& name : additional_) add_special(name);
  config_.bos = name_of("bos_token", "");
  config_.eos = name_of("eos_token", "");
  return std::move(config_);
}

void Reader::read_config(const std::string& text, const JsonSource& source) {
  const Json json = parse_json(text, source);
  const JsonFields fields(json, source, "");
  if (fields.has("legacy")) config_.legacy = fields.boolean("legacy");
  if (fields.has("add_bos_token")) add_bos_ = fields.boolean("add_bos_token");
  if (fields.has("tokenizer_class")) class_ = fields.text("tokenizer_class");
  if (fields.has("add_prefix_space")) config_.add_prefix_space = fields.boolean("add_prefix_space");
  read_names(fields);
  has_decoder_ = fields.has("added_tokens_decoder");
  if (!has_decoder_) return;
  const JsonFields decoder = fields.child("added_tokens_decoder");
  check_count(fields, "added_tokens_decoder", decoder.json().size());
  read_decoder(decoder);
}

void Reader::read_special_map(const std::string& text, const JsonSource& source) {
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
    this->name(key, *name);
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
    if (id >= known_.rows + kMaxBeyondModel)
      decoder.fail(
          key,
          fmt::format("the id is too large, expected less than {}", known_.rows + kMaxBeyondModel),
          "");
    add({.name = *name,
         .id = static_cast<int32_t>(id),
         .special = flag("special"),
         .strips_left = flag("lstrip"),
         .strips_right = flag("rstrip"),
         .single_word = flag("single_word"),
         .normalized = fields.has("normalized") ? fields.boolean("normalized") : !flag("special")},
        decoder);
  }
}

void Reader::read_added_json(const std::string& text, const JsonSource& source) {
  const Json json = parse_json(text, source);
  const JsonFields fields(json, source, "");
  check_count(fields, "", json.size());
  const auto is_special = [&](const std::string& name) {
    return std::find(additional_.begin(), additional_.end(), name) != additional_.end() ||
           std::any_of(specials_.begin(), specials_.end(),
                       [&](const auto& entry) { return entry.second == name; });
  };
  for (const auto& [name, value] : json.items()) {
    const uint64_t id = fields.unsigned_integer(name, 0, known_.rows + kMaxBeyondModel - 1);
    add({.name = name, .id = static_cast<int32_t>(id), .special = is_special(name)}, fields);
  }
}

// A token that an earlier file has is changed; transformers keeps it special where it was.
void Reader::add(AddedToken token, const JsonFields& fields) {
  const std::string key = std::to_string(token.id);
  if (token.name.empty()) fields.fail(key, "the token's name is empty", "");
  const auto known = names_.find(token.name);
  const bool same = known != names_.end() && config_.added[known->second].id == token.id;
  if (!seen_.insert(token.id).second ||
      (same ? false : known != names_.end() || ids_.contains(token.id)))
    fields.fail(key,
                fmt::format("the name \"{}\" or the id is there twice, expected each once",
                            printable(token.name)),
                "");
  if (same) {
    AddedToken& before = config_.added[known->second];
    token.special |= before.special;
    before = std::move(token);
    return;
  }
  names_.emplace(token.name, config_.added.size());
  ids_.insert(token.id);
  config_.added.push_back(std::move(token));
}

void Reader::add_special(const std::string& name) {
  if (name.empty()) return;
  const auto known = names_.find(name);
  if (known != names_.end()) {
    config_.added[known->second].named = true;
    return;
  }
  int32_t id = known_.find(name);
  if (id < 0) {
    id = static_cast<int32_t>(known_.rows);
    for (const AddedToken& token : config_.added) id = std::max(id, token.id + 1);
  }
  names_.emplace(name, config_.added.size());
  config_.added.push_back({.name = name, .id = id, .special = true, .named = true});
}

// A sequence cannot begin or end with a token that the model has no row for, or that text spells.
void require_control(const std::string& name, const Reader& reader, const TokenizerModel& model,
                     const std::unordered_map<std::string_view, int32_t>& pieces) {
  const auto piece = pieces.find(name);
  const PieceType type = piece == pieces.end()
                             ? PieceType::control
                             : model.pieces[static_cast<size_t>(piece->second)].type;
  const bool present = piece != pieces.end() || reader.is_added(name);
  if (present && type != PieceType::byte && type != PieceType::unknown) return;
  throw Error(
      ExitCode::model, "tokenizer.model: pieces",
      fmt::format("{} \"{}\", expected one token for the beginning and one for the end of a "
                  "sequence",
                  present ? "a byte or the unknown piece is" : "no piece", printable(name)),
      "Name them in tokenizer_config.json as bos_token and eos_token");
}

// Classes of transformers that put BOS in front by a switch of their own, not by the template.
bool has_own_template(std::string_view tokenizer_class) {
  if (tokenizer_class.ends_with("Fast")) tokenizer_class.remove_suffix(4);
  return tokenizer_class == "LlamaTokenizer" || tokenizer_class == "CodeLlamaTokenizer" ||
         tokenizer_class == "GemmaTokenizer";
}

// No name and no id may stand for two tokens.
void check_against(const BpeVocabulary& vocabulary, const std::vector<AddedToken>& added,
                   const JsonSource& source) {
  for (const AddedToken& token : added) {
    const int32_t id = vocabulary.find(token.name);
    const std::string_view name = vocabulary.name_of(token.id);
    if (id == token.id || (id < 0 && name.empty())) continue;
    throw Error(
        source.code, source.file + ": added_tokens",
        fmt::format("\"{}\" has the id {}, which model.vocab gives to {}", printable(token.name),
                    token.id,
                    id < 0 ? "\"" + printable(name) + "\"" : "another: " + std::to_string(id)),
        "The file is damaged: download it again");
  }
}

}  // namespace

TokenizerConfig parse_tokenizer_config(const SideFiles& json, const TokenizerModel& model) {
  std::unordered_map<std::string_view, int32_t> pieces;
  for (size_t id = 0; id < model.pieces.size(); ++id)
    pieces.emplace(model.pieces[id].text, static_cast<int32_t>(id));
  const auto find = [&](std::string_view name) {
    const auto piece = pieces.find(name);
    return piece == pieces.end() ? -1 : piece->second;
  };
  Reader reader({model.pieces.size(), find}, {});
  reader.read(json);
  reader.name("bos_token", reader.name_of("bos_token", model.bos_piece));
  reader.name("eos_token", reader.name_of("eos_token", model.eos_piece));
  reader.name("unk_token",
              reader.name_of("unk_token", model.pieces[static_cast<size_t>(model.unk_id)].text));
  for (const char* key : {"bos_token", "eos_token"})
    require_control(reader.name_of(key, ""), reader, model, pieces);
  TokenizerConfig config = reader.finish();
  config.add_bos = reader.add_bos().value_or(true);
  config.omits_bos = !config.add_bos;
  return config;
}

TokenizerConfig parse_bpe_config(const SideFiles& json, BpeFacts facts, const JsonSource& source) {
  const BpeVocabulary& vocabulary = facts.vocabulary;
  Reader reader({vocabulary.rows(), [&](std::string_view name) { return vocabulary.find(name); }},
                std::move(facts.added));
  reader.read(json);
  const bool own = has_own_template(reader.tokenizer_class()) ||
                   (reader.tokenizer_class().empty() && reader.add_bos());
  if (facts.front && (!own || reader.name_of("bos_token", "").empty()))
    reader.name("bos_token", facts.front->name);
  TokenizerConfig config = reader.finish();
  config.legacy = false;
  config.add_bos = own ? reader.add_bos().value_or(true) : facts.front.has_value();
  config.omits_bos = reader.add_bos() == false && !config.add_bos;
  check_against(vocabulary, config.added, source);
  for (AddedToken& token : config.added) {
    token.special |= token.named;
    if (facts.front && token.name == facts.front->name && token.id != facts.front->id)
      throw Error(source.code, source.file + ": post_processor",
                  fmt::format("\"{}\" has the id {}, expected {}", printable(token.name),
                              facts.front->id, token.id),
                  "The file is damaged: download it again");
  }
  return config;
}

}  // namespace ropewalk
