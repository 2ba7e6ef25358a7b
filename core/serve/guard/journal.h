// journal.h — what becomes of requests, as lines on stderr and as counts: never a prompt, a reply,
// a stop string or a key. Of what a client writes, the names of fields without effect alone.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http/server.h"
#include "core/json/json.h"
#include "core/json/json_fwd.h"
#include "core/schedule/metrics.h"

namespace ropewalk::serve {

// As lines of logs have it: 2026-11-30T20:05:03.123Z.
std::string utc_now();

// What a generation adds to the line of its request.
struct Summary {
  uint64_t prompt_tokens = 0, cached_tokens = 0, new_tokens = 0;
  double queued_ms = 0, first_token_ms = 0, total_ms = 0;
  std::string finish = {};
};

// Threads: every function may be called from any thread.
class Journal {
 public:
  // `write` gets a line of JSON without its end; empty: nowhere.
  explicit Journal(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

  using Time = std::chrono::steady_clock::time_point;

  // A request begins; its access() follows. `key` is its key's name, empty where it needs none.
  // `trace` is its traceparent header (W3C), or null; one that is malformed is not written.
  void open(const std::string& id, std::string key, const std::string* trace);
  // Adds to the line of a request that has not ended.
  void note(const std::string& id, Summary summary);
  // Counts the fields without effect of a request that is open; a line for each name, once an hour
  // for each key.
  void note_ignored(const std::string& id, const std::vector<std::string>& fields, Time now);
  void count_choices(uint32_t n);  // that a request asks for
  // Ends a request: writes its line and counts it. `known` are the paths of the routes, as other
  // paths are the client's text.
  void access(const http::AccessRecord& record, const std::vector<std::string>& known);

  static constexpr std::array<double, 5> kChoices = {1, 2, 5, 10, 20};  // vLLM's bounds
  struct Counts {
    std::map<std::pair<std::string, int>, uint64_t> requests;  // by path and status
    std::map<std::string, uint64_t> ignored;                   // by field
    Histogram choices{kChoices};
  };
  Counts counts() const;

 private:
  struct Pending {
    std::string key, trace;
    std::optional<Summary> summary;
  };

  bool is_first(const std::string& key, const std::string& field, Time now);

  const std::function<void(std::string_view)> write_;
  mutable std::mutex mutex_;
  std::map<std::string, Pending> pending_;
  Counts counts_;
  std::set<std::pair<std::string, std::string>> told_;  // (key, field) of this hour
  Time told_since_ = {};
};

}  // namespace ropewalk::serve
