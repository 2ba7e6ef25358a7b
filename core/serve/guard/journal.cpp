#include "core/serve/guard/journal.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/json/json.h"
#include "core/serve/answer/json_text.h"

namespace ropewalk::serve {
namespace {

// Fields of clients that are counted by name; others may be any text.
constexpr std::array<std::string_view, 12> kCountedFields = {
    "skew",      "penalty_alpha",  "priority",           "reasoning_effort", "no_stop_trim",
    "verbosity", "length_penalty", "separate_reasoning", "temperature",      "return_hidden_states",
    "tools",     "response_format"};

std::string_view outcome_name(http::Outcome outcome) {
  switch (outcome) {
    case http::Outcome::answered:
      return "answered";
    case http::Outcome::client:
      return "client_left";
    case http::Outcome::stalled:
      return "stalled";
    case http::Outcome::shutdown:
      return "shutdown";
    case http::Outcome::failed:
      return "failed";
  }
  return "";
}

// Lines of fields without effect within an hour: names are the client's, hence any number of them.
constexpr size_t kMaxTold = 1000;
constexpr size_t kLongestField = 64;

// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
bool is_traceparent(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (text.size() != 55) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 2 || i == 35 || i == 52;
    if (dash ? text[i] != '-' : kHex.find(text[i]) == std::string_view::npos) return false;
  }
  return true;
}

double rounded(double milliseconds) { return std::round(milliseconds * 10) / 10; }

}  // namespace

std::string utc_now() {
  const auto time = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)), ms.count() % 1000);
}

void Journal::open(const std::string& id, std::string key, const std::string* trace) {
  const std::lock_guard lock(mutex_);
  pending_[id] = {std::move(key), trace && is_traceparent(*trace) ? *trace : "", {}};
}

void Journal::note(const std::string& id, Summary summary) {
  const std::lock_guard lock(mutex_);
  if (const auto found = pending_.find(id); found != pending_.end())
    found->second.summary = std::move(summary);
}

void Journal::note_ignored(const std::string& id, const std::vector<std::string>& fields,
                           Time now) {
  std::string lines;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(id);
    const std::string key = found == pending_.end() ? "" : found->second.key;
    for (const std::string& field : fields) {
      const bool known = std::ranges::find(kCountedFields, field) != kCountedFields.end();
      ++counts_.ignored[known ? field : "other"];
      const std::string name = printable(field, kLongestField);
      if (!write_ || !is_first(key, name, now)) continue;
      Json line = {{"time", utc_now()}, {"id", id}, {"ignored_field", name}};
      if (!key.empty()) line["key"] = key;
      lines += (lines.empty() ? "" : "\n") + json_text(line);
    }
  }
  if (!lines.empty()) write_(lines);
}

// REQUIRES: the lock is held.
bool Journal::is_first(const std::string& key, const std::string& field, Time now) {
  if (now - told_since_ >= std::chrono::hours(1)) {
    told_.clear();
    told_since_ = now;
  }
  return told_.size() < kMaxTold && told_.emplace(key, field).second;
}

void Journal::count_choices(uint32_t n) {
  const std::lock_guard lock(mutex_);
  counts_.choices.add(n);
}

void Journal::access(const http::AccessRecord& record, const std::vector<std::string>& known) {
  const bool is_known = std::ranges::find(known, record.path) != known.end();
  Pending pending;
  {
    const std::lock_guard lock(mutex_);
    ++counts_.requests[{is_known ? record.path : "other", record.status}];
    if (const auto found = pending_.find(record.id); found != pending_.end()) {
      pending = std::move(found->second);
      pending_.erase(found);
    }
  }
  if (!write_) return;
  Json line = {{"time", utc_now()},
               {"id", record.id},
               {"method", record.method},
               {"path", is_known ? record.path : "other"},
               {"peer", record.peer},
               {"status", record.status},
               {"outcome", outcome_name(record.outcome)}};
  if (!pending.key.empty()) line["key"] = pending.key;
  if (!pending.trace.empty()) line["traceparent"] = pending.trace;
  line["bytes_in"] = record.bytes_in;
  line["bytes_out"] = record.bytes_out;
  line["ms"] = rounded(std::chrono::duration<double, std::milli>(record.duration).count());
  if (pending.summary) {
    const Summary& summary = *pending.summary;
    line["prompt_tokens"] = summary.prompt_tokens;
    line["cached_tokens"] = summary.cached_tokens;
    line["new_tokens"] = summary.new_tokens;
    line["queued_ms"] = rounded(summary.queued_ms);
    line["first_token_ms"] = rounded(summary.first_token_ms);
    line["total_ms"] = rounded(summary.total_ms);
    line["finish"] = summary.finish;
  }
  write_(json_text(line));
}

Journal::Counts Journal::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace ropewalk::serve
