// play.h — a schedule made from bytes: requests arrive, are read, cancelled and overdue while steps
// run. What each says is compared with what it says alone, and pages are counted.
#pragma once

#include <algorithm>
#include <string>

#include "tests/schedule/rig.h"

namespace ropewalk::test {

class Bytes {
 public:
  explicit Bytes(std::span<const uint8_t> bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  // 0 to limit - 1; 0 at the end.
  uint32_t below(uint32_t limit) {
    uint32_t value = 0;
    for (int i = 0; i < (limit > 256 ? 2 : 1) && !rest_.empty(); ++i) {
      value = value << 8 | rest_.front();
      rest_ = rest_.subspan(1);
    }
    return value % limit;
  }

 private:
  std::span<const uint8_t> rest_;
};

constexpr int32_t kPoison = 1;  // no prompt() has it

inline Request random_request(Bytes& bytes) {
  // Few beginnings, so that many are shared.
  Request asked =
      request(prompt(1 + bytes.below(700), bytes.below(3)), bytes.below(40), bytes.below(256));
  switch (bytes.below(10)) {
    case 0:
      asked.sampling.clear();
      break;
    case 1:
      asked.prompt_ids.back() = kPoison;
      break;
    case 2:
      asked.logprobs = {.top = bytes.below(3), .prompt = bytes.below(2) == 1};
      break;
    case 3:
      asked.stop_ids = {10, 20};
      break;
    case 4:
      asked.stops = {"\x05\x06", "1"};
      break;
    default:
      break;
  }
  return asked;
}

inline Terms random_terms(Bytes& bytes) {
  Terms terms{.priority = static_cast<int32_t>(bytes.below(3))};
  terms.account = bytes.below(2);
  if (bytes.below(4) == 0) terms.cache_salt = "other";
  if (bytes.below(8) == 0) terms.deadline = Seconds(1 + bytes.below(20));
  return terms;
}

inline ScheduleSettings random_settings(Bytes& bytes) {
  ScheduleSettings settings;
  settings.max_running = bytes.below(9);
  settings.max_rows = bytes.below(2) ? 0 : 16 + bytes.below(64);
  settings.prefill_share = bytes.below(11) / 10.0;
  settings.reader_bytes = bytes.below(4) == 0 ? 8 * sizeof(NewToken) : 1 << 20;
  settings.reserve = bytes.below(4) == 0 ? Reserve::full : Reserve::prompt;
  settings.prefixes = bytes.below(4) == 0 ? PrefixCaching::off : PrefixCaching::on;
  return settings;
}

inline bool begins_with(const auto& whole, const auto& part) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

// What is wrong with what a request has said; empty: nothing.
inline std::string judge(const Heard& heard, const Request& asked, uint32_t capacity) {
  const Heard want = alone(asked, capacity, kPoison);
  if (!heard.end) return "a request has no end";
  const bool whole = heard.end->cause == EndCause::none || heard.end->cause == EndCause::request;
  if (whole) {
    if (heard.end->cause != want.end->cause || heard.end->finish != want.end->finish)
      return "a request ends in another way than alone";
    // Of a prompt that fails the chunks before were scored.
    const bool same_prompt = heard.end->cause == EndCause::request
                                 ? begins_with(want.prompt_logprobs, heard.prompt_logprobs)
                                 : heard.prompt_logprobs == want.prompt_logprobs;
    if (heard.ids != want.ids || heard.logprobs != want.logprobs || heard.tops != want.tops ||
        !same_prompt)
      return "a request has other tokens or log-probabilities than alone";
    if (heard.text != want.text) return "a request has another text than alone";
    return "";
  }
  // What was held back because of a stop string is said when a reply is cut.
  Request unstopped = asked;
  unstopped.stops.clear();
  if (!begins_with(want.ids, heard.ids)) return "a reply that was cut has other tokens than alone";
  if (!begins_with(alone(unstopped, capacity, kPoison).text, heard.text))
    return "a reply that was cut has another text than alone";
  return "";
}

// Plays the bytes. Returns what went wrong; empty: nothing.
inline std::string play(TinyModel& tiny, std::span<const uint8_t> input) {
  Bytes bytes(input);
  const uint32_t pages = 3 + bytes.below(12);
  Rig rig(tiny, pages, random_settings(bytes));
  rig.poison = kPoison;
  std::vector<Request> asked;
  while (!bytes.empty()) {
    switch (bytes.below(8)) {
      case 0:
      case 1: {
        const Request next = random_request(bytes);
        if (asked.size() == 24 || next.prompt_ids.size() >= rig.cache.capacity()) break;
        asked.push_back(next);
        rig.add(next, random_terms(bytes));
        break;
      }
      case 2:
        if (!asked.empty() && bytes.below(4) == 0)
          rig.tickets[bytes.below(256) % asked.size()]->cancel();
        break;
      case 3:
        if (!asked.empty()) rig.read(bytes.below(256) % asked.size());
        break;
      case 4:
        rig.now += std::chrono::milliseconds(bytes.below(1024));
        break;
      default:
        rig.batch.step();
        rig.device.steps.clear();
        if (const std::string fault = rig.checked(); !fault.empty()) return fault;
    }
  }
  // Everybody reads from now on: each turn moves something on until all have ended.
  for (size_t i = 0; i < asked.size(); ++i) rig.read(i);
  for (int turns = 0; !rig.batch.empty(); ++turns) {
    const bool ran = rig.step();
    rig.device.steps.clear();
    if (!ran && !rig.batch.empty()) return "nothing runs though there is work";
    if (turns > 20000) return "a schedule does not end";
  }
  if (const std::string fault = rig.checked(); !fault.empty()) return fault;
  for (size_t i = 0; i < asked.size(); ++i)
    if (const std::string fault = judge(rig.heard[i], asked[i], rig.cache.capacity());
        !fault.empty())
      return fault;
  return "";
}

}  // namespace ropewalk::test
