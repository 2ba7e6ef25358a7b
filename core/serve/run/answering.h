// answering.h — a completion or chat completion from its submission to the end of its answer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/http/reply.h"
#include "core/schedule/scheduler.h"
#include "core/serve/answer/stream_answer.h"
#include "core/serve/answer/whole_answer.h"
#include "core/serve/guard/journal.h"
#include "core/serve/guard/quotas.h"
#include "core/serve/request/ask.h"
#include "core/serve/run/writer.h"

namespace ropewalk::serve {

struct AnsweringSettings {
  Terms terms;
  AnswerFacts facts;
  std::string request_id;
  std::chrono::seconds keep_alive;
  std::function<void(Summary)> done;     // called once, before the answer's last byte
  std::unique_ptr<Quotas::Share> share;  // null: none
};

// Submits every reply of the Ask. Throws ApiError where one is refused; then none runs.
std::vector<std::unique_ptr<Ticket>> submit_all(Scheduler& scheduler, const Ask& ask,
                                                const Terms& terms);

class Answering final : public Job {
 public:
  Answering(std::shared_ptr<http::Reply> reply, Ask ask, AnsweringSettings settings,
            std::vector<std::unique_ptr<Ticket>> tickets, const Bell& bell);

  bool turn(Clock::time_point now) override;

 private:
  bool is_over() const { return ended_ == tickets_.size(); }
  // Both return whether the job is over.
  bool turn_stream(Clock::time_point now);
  bool turn_whole();
  bool stop_for(http::Cancel why);
  // Takes from all tickets; the error of the first reply that failed.
  std::optional<ApiError> take(const std::function<void(uint32_t, const Update&)>& use);
  void cancel_all();
  bool flush(Clock::time_point now);
  void tell_done(const Usage& usage);

  const std::shared_ptr<http::Reply> reply_;
  const Ask ask_;
  const AnsweringSettings settings_;
  std::vector<std::unique_ptr<Ticket>> tickets_;  // empty where the reply has ended
  size_t ended_ = 0;
  std::optional<StreamAnswer> stream_;
  std::optional<WholeAnswer> whole_;
  std::string waiting_;  // bytes of the stream that the reader has no room for
  bool begun_ = false, closing_ = false;
  Clock::time_point last_byte_;
  Summary summary_;
};

}  // namespace ropewalk::serve
