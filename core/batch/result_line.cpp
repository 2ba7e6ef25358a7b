#include "core/batch/result_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/digest/sha256.h"
#include "core/json/json.h"
#include "core/serve/answer/json_text.h"

namespace ropewalk::batch {
namespace {

constexpr size_t kDigits = 24;
constexpr std::string_view kId = R"({"id":"batch_)";  // then request_id
constexpr std::string_view kCustomId = R"(","custom_id":)";
constexpr std::string_view kStatus = R"(,"response":{"status_code":)";
constexpr std::string_view kEnd = R"(},"error":null})";

// Removes `text` from the front of `line`, or says that it does not stand there.
bool skip(std::string_view& line, std::string_view text) {
  if (!line.starts_with(text)) return false;
  line.remove_prefix(text.size());
  return true;
}

// Removes a JSON string, with its quotes, from the front of `line`.
std::optional<std::string> skip_string(std::string_view& line) {
  if (!line.starts_with('"')) return std::nullopt;
  size_t end = 1;
  while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
  if (end >= line.size()) return std::nullopt;
  const Json text = Json::parse(line.substr(0, end + 1), nullptr, false);
  line.remove_prefix(end + 1);
  return text.is_string() ? std::optional(text.get<std::string>()) : std::nullopt;
}

std::optional<Result> parse(std::string_view line) {
  if (!line.ends_with(kEnd) || line.find('\0') != std::string_view::npos) return std::nullopt;
  if (!skip(line, kId) || !skip(line, "req_")) return std::nullopt;
  line.remove_prefix(std::min(kDigits, line.size()));
  if (!skip(line, kCustomId)) return std::nullopt;
  const std::optional<std::string> custom_id = skip_string(line);
  if (!custom_id || !skip(line, kStatus)) return std::nullopt;
  Result result{.custom_id = *custom_id};
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), result.status);
  if (error != std::errc{} || result.status < 100 || result.status > 599) return std::nullopt;
  return result;
}

}  // namespace

std::string request_id(std::string_view custom_id) {
  return "req_" + sha256(custom_id).substr(0, kDigits);
}

std::string result_line(const std::string& custom_id, const http::Response& response) {
  const std::string id = request_id(custom_id);
  return fmt::format(R"({}{}{}{}{}{},"request_id":"{}","body":{}{})", kId, id, kCustomId,
                     serve::json_text(custom_id), kStatus, response.status, id, response.body,
                     kEnd) +
         "\n";
}

Result read_result(std::string_view line, const std::string& where) {
  if (std::optional<Result> result = parse(line)) return std::move(*result);
  throw Error(ExitCode::usage, where, "is no whole line of `ropewalk batch`",
              "Delete it and run the batch again: it answers what is missing");
}

}  // namespace ropewalk::batch
