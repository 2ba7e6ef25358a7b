#include "core/serve/guard/journal.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

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

double rounded(double milliseconds) { return std::round(milliseconds * 10) / 10; }

std::string now() {
  const auto time = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(time)), ms.count() % 1000);
}

}  // namespace

void Journal::open(const std::string& id, std::string key) {
  const std::lock_guard lock(mutex_);
  pending_[id] = {std::move(key), {}};
}

void Journal::note(const std::string& id, Summary summary) {
  const std::lock_guard lock(mutex_);
  if (const auto found = pending_.find(id); found != pending_.end())
    found->second.summary = std::move(summary);
}

void Journal::count_ignored(const std::vector<std::string>& fields) {
  const std::lock_guard lock(mutex_);
  for (const std::string& field : fields) {
    const bool known = std::ranges::find(kCountedFields, field) != kCountedFields.end();
    ++counts_.ignored[known ? field : "other"];
  }
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
  Json line = {{"time", now()},
               {"id", record.id},
               {"method", record.method},
               {"path", is_known ? record.path : "other"},
               {"peer", record.peer},
               {"status", record.status},
               {"outcome", outcome_name(record.outcome)}};
  if (!pending.key.empty()) line["key"] = pending.key;
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
