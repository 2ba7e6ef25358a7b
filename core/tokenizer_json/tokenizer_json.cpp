#include "core/tokenizer_json/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "core/base/log.h"
#include "core/json/json.h"
#include "core/json/json_tree.h"
#include "core/tokenizer_json/component.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxTokens = 1'000'000;
constexpr size_t kMaxMerges = 2'000'000;
constexpr size_t kMaxAdded = 10'000;
constexpr size_t kMaxName = size_t{64} << 10;
constexpr size_t kMaxDepth = 24;  // eight Sequences in one another take 18
constexpr char kDamaged[] = "The file is damaged: download it again";
constexpr char kForeign[] = "Ropewalk reads BPE tokenizers; take tokenizer.model if there is one";

// Takes model.vocab and model.merges out of the stream, and lets a tree be built of all else.
class FileEvents final : public JsonEvents {
 public:
  FileEvents(const JsonSource& source, Json& rest, BpeModel& model)
      : source_(source), tree_(source, rest), model_(model) {}

  void null() override {
    scalar([&] { tree_.null(); }, "null");
  }
  void boolean(bool value) override {
    scalar([&] { tree_.boolean(value); }, value ? "true" : "false");
  }
  void integer(int64_t value) override {
    scalar([&] { tree_.integer(value); }, std::to_string(value));
  }
  void unsigned_integer(uint64_t value) override {
    if (inside_ == Inside::vocabulary) return take_id(value);
    scalar([&] { tree_.unsigned_integer(value); }, std::to_string(value));
  }
  void number(double value) override {
    scalar([&] { tree_.number(value); }, fmt::format("{}", value));
  }
  void text(std::string value) override;
  void key(std::string name) override;
  void begin_object() override;
  void end_object() override;
  void begin_array() override;
  void end_array() override;

  bool has_vocabulary = false, has_merges = false;

 private:
  enum class Inside { rest, vocabulary, merges, pair };

  void scalar(auto&& hand_on, std::string_view found) {
    if (inside_ != Inside::rest) refuse(found);
    hand_on();
  }
  void open(auto&& hand_on);
  bool at_model_key(std::string_view key) const {
    return depth_ == 2 && outer_key_ == "model" && inner_key_ == key;
  }
  void take_id(uint64_t value);
  void take_merge(std::string_view text);
  void add_merge(TokenName left, TokenName right);
  TokenName add_name(std::string_view name);
  std::string where() const;
  [[noreturn]] void fail(std::string_view what) const {
    throw Error(source_.code, where(), what, kDamaged);
  }
  [[noreturn]] void refuse(std::string_view found) const {
    fail(inside_ == Inside::vocabulary ? fmt::format("found {}, expected an id from 0", found)
         : inside_ == Inside::pair
             ? fmt::format("found {}, expected the names of two tokens", found)
             : fmt::format("found {}, expected a text or a list of two texts", found));
  }

  const JsonSource& source_;
  JsonTreeBuilder tree_;
  BpeModel& model_;
  Inside inside_ = Inside::rest;
  size_t depth_ = 0;                   // open objects and lists outside of vocabulary and merges
  std::string outer_key_, inner_key_;  // of the first and the second level
  std::string name_;                   // the token whose id is to come
  std::vector<TokenName> pair_;
};

std::string FileEvents::where() const {
  switch (inside_) {
    case Inside::vocabulary:
      return fmt::format("{}: model.vocab: \"{}\"", source_.file, printable(name_));
    case Inside::merges:
    case Inside::pair:
      return fmt::format("{}: model.merges[{}]", source_.file, model_.merges.size());
    case Inside::rest:
      break;
  }
  return source_.file;
}

void FileEvents::open(auto&& hand_on) {
  if (++depth_ > kMaxDepth)
    fail(fmt::format("nested too deeply, expected at most {} levels", kMaxDepth));
  hand_on();
}

void FileEvents::key(std::string name) {
  if (inside_ == Inside::vocabulary) {
    name_ = std::move(name);
    return;
  }
  if (depth_ == 1) {
    outer_key_ = name;
    inner_key_.clear();
  }
  if (depth_ == 2) inner_key_ = name;
  tree_.key(std::move(name));
}

void FileEvents::begin_object() {
  if (inside_ != Inside::rest) refuse("an object");
  if (!at_model_key("vocab")) return open([&] { tree_.begin_object(); });
  inside_ = Inside::vocabulary;
  has_vocabulary = true;
  tree_.null();
}

void FileEvents::end_object() {
  if (inside_ == Inside::vocabulary) {
    inside_ = Inside::rest;
    return;
  }
  --depth_;
  tree_.end_object();
}

void FileEvents::begin_array() {
  if (inside_ == Inside::merges) {
    inside_ = Inside::pair;
    pair_.clear();
    return;
  }
  if (inside_ != Inside::rest) refuse("a list");
  if (!at_model_key("merges")) return open([&] { tree_.begin_array(); });
  inside_ = Inside::merges;
  has_merges = true;
  tree_.null();
}

void FileEvents::end_array() {
  if (inside_ == Inside::pair) {
    if (pair_.size() != 2) refuse(fmt::format("a list of {}", pair_.size()));
    add_merge(pair_[0], pair_[1]);
    inside_ = Inside::merges;
  } else if (inside_ == Inside::merges) {
    inside_ = Inside::rest;
  } else {
    --depth_;
    tree_.end_array();
  }
}

void FileEvents::text(std::string value) {
  if (inside_ == Inside::pair && pair_.size() < 2) {
    pair_.push_back(add_name(value));
  } else if (inside_ == Inside::merges) {
    take_merge(value);
  } else {
    const std::string found = inside_ == Inside::rest ? "" : "\"" + printable(value, 60) + "\"";
    scalar([&] { tree_.text(std::move(value)); }, found);
  }
}

TokenName FileEvents::add_name(std::string_view name) {
  if (name.size() > kMaxName)
    fail(fmt::format("the name has {} bytes, expected at most {}", name.size(), kMaxName));
  const TokenName added{static_cast<uint32_t>(model_.names.size()),
                        static_cast<uint32_t>(name.size())};
  model_.names.insert(model_.names.end(), name.begin(), name.end());
  return added;
}

void FileEvents::take_id(uint64_t value) {
  if (name_.empty()) fail("the token's name is empty");
  if (model_.vocabulary.size() == kMaxTokens)
    fail(fmt::format("expected at most {} tokens", kMaxTokens));
  if (value >= kMaxTokens + kMaxBeyondVocabulary)
    fail(fmt::format("found the id {}, expected less than {}", value,
                     kMaxTokens + kMaxBeyondVocabulary));
  model_.vocabulary.push_back({add_name(name_), static_cast<int32_t>(value)});
}

// "a b"; the first line of old merges.txt files is not a merge.
void FileEvents::take_merge(std::string_view text) {
  if (text.starts_with("#version")) return;
  const size_t space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos)
    fail(fmt::format("found \"{}\", expected two names with one space between",
                     printable(text, 60)));
  const TokenName left = add_name(text.substr(0, space));
  add_merge(left, add_name(text.substr(space + 1)));
}

void FileEvents::add_merge(TokenName left, TokenName right) {
  if (model_.merges.size() == kMaxMerges)
    fail(fmt::format("expected at most {} merges", kMaxMerges));
  model_.merges.push_back({left, right});
}

void read_model(const JsonFields& model, BpeModel& into) {
  const std::string type = model.has("type") ? model.text("type") : "BPE";
  if (type != "BPE")
    model.fail("type", fmt::format("found \"{}\", expected \"BPE\"", printable(type)), kForeign);
  if (model.has("dropout") && model.number("dropout") != 0)
    model.fail("dropout", "found a number other than 0, which makes ids random, expected null", "");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (model.has(key) && !model.text(key).empty())
      model.fail(key,
                 fmt::format("found \"{}\", expected null or \"\"", printable(model.text(key))),
                 kForeign);
  if (model.has("unk_token")) into.unknown = model.text("unk_token");
  into.fuse_unknown = read_flag(model, "fuse_unk", false);
  into.byte_fallback = read_flag(model, "byte_fallback", false);
  into.ignore_merges = read_flag(model, "ignore_merges", false);
}

std::vector<AddedToken> read_added(const JsonFields& root, uint64_t max_id) {
  std::vector<AddedToken> tokens;
  if (!root.has("added_tokens")) return tokens;
  const Json& list = root.json()["added_tokens"];
  if (!list.is_array()) root.fail("added_tokens", "expected a list", "");
  if (list.size() > kMaxAdded)
    root.fail("added_tokens",
              fmt::format("found {} tokens, expected at most {}", list.size(), kMaxAdded), "");
  std::unordered_set<std::string> names;
  std::unordered_set<int32_t> ids;
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonFields fields = root.item("added_tokens", i);
    AddedToken token{.name = fields.text("content"),
                     .id = static_cast<int32_t>(fields.unsigned_integer("id", 0, max_id)),
                     .special = read_flag(fields, "special", false),
                     .strips_left = read_flag(fields, "lstrip", false),
                     .strips_right = read_flag(fields, "rstrip", false),
                     .single_word = read_flag(fields, "single_word", false)};
    token.normalized = read_flag(fields, "normalized", !token.special);
    if (token.name.empty()) fields.fail("content", "the token's name is empty", "");
    if (token.name.size() > kMaxName)
      fields.fail(
          "content",
          fmt::format("the name has {} bytes, expected at most {}", token.name.size(), kMaxName),
          "");
    if (!names.insert(token.name).second || !ids.insert(token.id).second)
      fields.fail("",
                  fmt::format("the name \"{}\" or the id {} is there twice, expected each once",
                              printable(token.name), token.id),
                  "");
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Json part(const Json& root, const char* key) {
  const auto found = root.find(key);
  return found == root.end() ? Json() : *found;
}

}  // namespace

TokenizerJsonFile parse_tokenizer_json(std::string_view text, const JsonSource& source) {
  TokenizerJsonFile file;
  Json rest;
  FileEvents events(source, rest, file.model);
  walk_json(text, source, events);

  const JsonFields root(rest, source, "");
  const JsonFields model = root.child("model");
  read_model(model, file.model);
  if (!events.has_vocabulary) model.fail("vocab", "is missing, expected an object of ids", "");
  if (!events.has_merges) model.fail("merges", "is missing, expected a list", kForeign);
  const uint64_t max_id = file.model.vocabulary.size() + kMaxBeyondVocabulary - 1;
  for (const BpeModel::Entry& entry : file.model.vocabulary)
    if (static_cast<uint64_t>(entry.id) > max_id)
      model.fail("vocab",
                 fmt::format("\"{}\": found the id {}, expected at most {}",
                             printable(file.model.text(entry.name)), entry.id, max_id),
                 kDamaged);
  file.added = read_added(root, max_id);
  for (const char* key : {"truncation", "padding"})
    if (root.has(key))
      note(fmt::format("{}: {} is set, which is not for generating text; it is ignored",
                       source.file, key));
  file.normalizer = part(rest, "normalizer");
  file.pre_tokenizer = part(rest, "pre_tokenizer");
  file.post_processor = part(rest, "post_processor");
  file.decoder = part(rest, "decoder");
  return file;
}

}  // namespace ropewalk
