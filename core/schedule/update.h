// update.h — what a client reads of its request: text, tokens, and in the end how it ended. Plain
// data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/generate/request.h"

namespace ropewalk {

// Why a reply ended with Finish::cancelled, ::deadline or ::failed.
enum class EndCause {
  none,           // it did not: Finish::stop or ::length
  client,         // Ticket::cancel()
  slow_reader,    // nobody has taken what was said for ScheduleSettings::reader_time
  queue_timeout,  // it waited for ScheduleSettings::queue_time and never ran
  deadline,       // Terms::deadline
  request,        // its own row or its samplers failed: `error` is non_finite or plugin
  device,         // the device was lost, and with it every request: `error` says how
  shutdown,       // Scheduler::stop()
};

struct ReplyTimes {        // seconds
  double queued = 0;       // from submit() until it first ran
  double first_token = 0;  // from submit(); 0 where there was none
  double total = 0;        // from submit()
};

// The last thing that a client reads.
struct Ending {
  Finish finish = Finish::length;
  EndCause cause = EndCause::none;
  std::optional<Error> error = {};       // with EndCause::request and ::device
  std::optional<std::string> stop = {};  // as in Reply
  std::optional<int32_t> stop_id = {};
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;  // of the prompt, found in the prefix cache
  uint32_t new_tokens = 0;     // sampled, the end id and what a stop string swallowed included
  uint32_t preemptions = 0;
  ReplyTimes times = {};
};

struct NewToken {
  ScoredToken token;
  // Bytes of the reply's text that had come when this token had been sampled. It may lie behind the
  // token's own text, which waits for the rest of a character or of a stop string.
  uint64_t text_end = 0;
};

// What came since the last update; several steps become one where the reader is slow.
struct Update {
  std::vector<ScoredToken> prompt = {};  // with LogprobsWanted::prompt; all before the first token
  std::string text = {};                 // whole characters, nothing of a stop string
  std::vector<NewToken> tokens = {};
  std::optional<Ending> end = {};  // nothing comes after it

  bool empty() const { return prompt.empty() && text.empty() && tokens.empty() && !end; }
};

}  // namespace ropewalk
