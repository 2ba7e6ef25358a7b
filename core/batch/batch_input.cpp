#include "core/batch/batch_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "core/base/error.h"
#include "core/digest/sha256.h"
#include "core/json/json.h"

namespace ropewalk::batch {
namespace {

constexpr size_t kMaxId = 512;  // bytes
constexpr uint32_t kMaxShards = 1 << 20;

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string text_or_empty(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

Shard parse_shard(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const auto index = number(text.substr(0, slash));
  const auto count = number(text.substr(std::min(slash + 1, text.size())));
  if (!index || !count || *count > kMaxShards || *index >= *count)
    throw Error(ExitCode::usage, "--shard",
                fmt::format("found {}, expected i/n with i from 0 to n - 1", printable(text, 64)),
                "The first of three is 0/3");
  return {*index, *count};
}

Question parse_question(std::string_view line, const std::string& where) {
  const JsonSource source{where, ExitCode::usage, "Correct the line"};
  const Json parsed = parse_json(line, source);
  const JsonFields fields(parsed, source, "");
  Question question{.custom_id = fields.text("custom_id"),
                    .method = text_or_empty(parsed, "method"),
                    .url = text_or_empty(parsed, "url")};
  if (question.custom_id.empty() || question.custom_id.size() > kMaxId)
    fields.fail("custom_id",
                fmt::format("found {} bytes, expected 1 to {}", question.custom_id.size(), kMaxId),
                "Give each line a name of its own");
  if (parsed.contains("body")) question.body = parsed["body"];
  return question;
}

uint64_t seed_of(std::string_view custom_id) {
  const std::string digest = sha256(custom_id);
  uint64_t seed = 0;
  std::from_chars(digest.data(), digest.data() + 16, seed, 16);
  return seed;
}

Json body_with_seed(const Question& question) {
  Json body = question.body;
  if (!body.is_object()) return body;
  // As the server reads it: of the two names the first that is present counts.
  for (const char* name : {"seed", "sampler_seed"}) {
    const auto found = body.find(name);
    if (found == body.end() || found->is_null()) continue;
    if (*found != -1) return body;
    break;
  }
  body["seed"] = seed_of(question.custom_id);
  return body;
}

InputFacts check_input(const std::filesystem::path& file, const Shard& shard) {
  JsonlFile lines(file);
  InputFacts facts;
  std::unordered_map<std::string, uint64_t> seen;  // the line of each custom_id
  std::string line;
  for (uint64_t count = 0; lines.next(line); ++count) {
    const Question question = parse_question(line, lines.where());
    const auto [first, is_new] = seen.emplace(question.custom_id, lines.number());
    if (!is_new)
      throw Error(ExitCode::usage, lines.where(),
                  fmt::format("found custom_id {}, which line {} has already, expected each once",
                              printable(question.custom_id), first->second),
                  "Give each line a name of its own");
    facts.digest = sha256(facts.digest + line);
    if (count % shard.count == shard.index) ++facts.questions;
  }
  return facts;
}

bool BatchInput::next(Question& question) {
  while (file_.next(line_)) {
    if (lines_++ % shard_.count != shard_.index) continue;
    question = parse_question(line_, file_.where());
    return true;
  }
  return false;
}

}  // namespace ropewalk::batch
