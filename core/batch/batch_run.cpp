#include "core/batch/batch_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include "core/batch/line_reply.h"
#include "core/batch/result_line.h"
#include "core/json/json.h"
#include "core/serve/api_error.h"
#include "core/serve/run/responses.h"

namespace ropewalk::batch {
namespace {

constexpr std::array<std::string_view, 2> kUrls = {"/v1/chat/completions", "/v1/completions"};
constexpr std::chrono::milliseconds kMoment{100};

class Run {
 public:
  Run(BatchInput& input, Ledger& ledger, std::span<const http::Route> routes,
      const RunSettings& settings)
      : input_(input), ledger_(ledger), routes_(routes), settings_(settings) {}

  void all() {
    for (;;) {
      if (settings_.stopped())
        keep_oldest();
      else
        fill();
      if (asked_.empty()) return;
      if (std::optional<Answer> answer = answers_->take(kMoment)) write(std::move(*answer));
      settings_.moment();
    }
  }

 private:
  struct Asked {
    std::string custom_id;
    std::weak_ptr<LineReply> reply;  // gone when it has been answered
  };

  void fill() {
    Question question;
    while (asked_.size() < settings_.in_flight && input_.next(question))
      if (!ledger_.has(question.custom_id)) ask(question);
  }

  void ask(const Question& question) {
    const uint64_t number = next_++;
    const auto reply = std::make_shared<LineReply>(answers_, number);
    asked_.emplace(number, Asked{question.custom_id, reply});
    try {
      http::Request request = request_of(question);
      route(request.path).handler(std::move(request), reply);
    } catch (const serve::ApiError& error) {
      reply->send(serve::error_response(error));
    } catch (const std::exception&) {
      // A bug. Dropping the reply makes a 500 of it, as over HTTP.
    }
  }

  const http::Route& route(const std::string& path) const {
    return *std::ranges::find_if(routes_, [&](const http::Route& route) {
      return route.method == "POST" && route.path == path;
    });
  }

  // The scheduler runs the oldest first, so these are the ones that have begun.
  void keep_oldest() {
    while (asked_.size() > settings_.finished) {
      const auto newest = std::prev(asked_.end());
      const auto reply = newest->second.reply.lock();
      if (!reply || !reply->cancel()) return;  // its answer is on its way
      asked_.erase(newest);
    }
  }

  void write(Answer answer) {
    const auto asked = asked_.find(answer.question);
    const std::string custom_id = asked->second.custom_id;
    asked_.erase(asked);
    const int status = answer.response.status;
    if (status == 503 || status == 429) fail(custom_id, answer.response);
    ledger_.add(result_line(custom_id, answer.response), status);
  }

  [[noreturn]] void fail(const std::string& custom_id, const http::Response& response) const {
    // The scheduler ends its requests before it says why.
    for (int waited = 0; waited < 50; ++waited) {
      if (const auto failure = settings_.failure()) throw *failure;
      std::this_thread::sleep_for(kMoment / 10);
    }
    throw Error(ExitCode::device_lost, custom_id,
                fmt::format("found no way to answer: {}", response.body), "Run the batch again");
  }

  BatchInput& input_;
  Ledger& ledger_;
  const std::span<const http::Route> routes_;
  const RunSettings& settings_;
  const std::shared_ptr<AnswerQueue> answers_ = std::make_shared<AnswerQueue>();
  std::map<uint64_t, Asked> asked_;
  uint64_t next_ = 0;
};

}  // namespace

http::Request request_of(const Question& question) {
  if (std::ranges::find(kUrls, question.url) == kUrls.end())
    throw serve::ApiError(404, "unknown_url",
                          fmt::format("url: found \"{}\", expected {} or {}.",
                                      printable(question.url, 64), kUrls[0], kUrls[1]),
                          "url");
  if (question.method != "POST")
    throw serve::ApiError(
        405, "method_not_allowed",
        fmt::format("method: found \"{}\", expected POST.", printable(question.method, 64)),
        "method");
  Json body = body_with_seed(question);
  if (body.is_object() && body.value("stream", Json()) == true)
    throw serve::ApiError(400, "unsupported_parameter",
                          "stream: a batch has no streams. Leave it out.", "stream");
  return {.method = "POST",
          .target = question.url,
          .path = question.url,
          .rest = {},
          .query = {},
          .headers = {},
          .body = body.dump(),
          .peer = {},
          .id = request_id(question.custom_id)};
}

void run_batch(BatchInput& input, Ledger& ledger, std::span<const http::Route> routes,
               const RunSettings& settings) {
  Run(input, ledger, routes, settings).all();
  ledger.sync();
}

}  // namespace ropewalk::batch
