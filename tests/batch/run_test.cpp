// How a batch asks: so many questions at a time, each once, and what becomes of answers that are
// none. Endpoints of the test's own stand for the server's.
#include "core/batch/batch_run.h"

#include <algorithm>
#include <deque>
#include <stdexcept>

#include "core/serve/api_error.h"
#include "tests/batch/questions.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using namespace batch;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class RunBatch : public testing::Test {
 protected:
  struct Asked {
    http::Request request;
    std::shared_ptr<http::Reply> reply;
  };

  void write_input(const std::vector<std::string>& ids) {
    std::string lines;
    for (const std::string& id : ids) lines += question(id);
    input_ = folder_.write("in", lines);
  }
  void run() {
    const std::vector<http::Route> routes = {
        {.method = "POST",
         .path = "/v1/completions",
         .run_on = http::RunOn::worker,
         .accepts = http::Accepts::json,
         .handler = [this](http::Request request, std::shared_ptr<http::Reply> reply) {
           asked_.push_back({std::move(request), std::move(reply)});
           handle_();
         }}};
    BatchInput input(input_, {});
    Ledger ledger({.output = output_, .errors = {}}, {}, FailedLines::keep);
    ledger.bind("model");
    run_batch(input, ledger, routes, settings_);
  }
  void answer_oldest(int status = 200) {
    asked_.front().reply->send({.status = status, .body = "{}"});
    asked_.pop_front();
  }
  // "a 200" for each line of the output, in its order.
  std::vector<std::string> answers() const {
    std::vector<std::string> all;
    JsonlFile lines(output_);
    for (std::string line; lines.next(line);) {
      const Result result = read_result(line, lines.where());
      all.push_back(result.custom_id + " " + std::to_string(result.status));
    }
    return all;
  }

  TemporaryFolder folder_;
  std::filesystem::path input_, output_ = folder_.path() / "out";
  RunSettings settings_;
  std::function<void()> handle_ = [] {};
  std::deque<Asked> asked_;
};

TEST_F(RunBatch, AsksSoManyAtATimeAndEachOnce) {
  write_input({"a", "b", "c", "d", "e"});
  settings_.in_flight = 3;
  size_t most = 0;
  handle_ = [&] { most = std::max(most, asked_.size()); };
  // The newest is answered first.
  settings_.moment = [&] {
    if (asked_.empty()) return;
    asked_.back().reply->send({.status = 200, .body = "{}"});
    asked_.pop_back();
  };
  run();
  EXPECT_EQ(most, 3u);
  EXPECT_THAT(answers(), UnorderedElementsAre("a 200", "b 200", "c 200", "d 200", "e 200"));
  run();  // nothing is left
  EXPECT_EQ(answers().size(), 5u);
}

TEST_F(RunBatch, FinishesTheOldestAfterAStop) {
  write_input({"a", "b", "c", "d", "e", "f"});
  settings_.in_flight = 4;
  settings_.finished = 2;
  bool stopped = false;
  settings_.stopped = [&] { return stopped; };
  settings_.moment = [&] {
    if (!stopped) {
      stopped = true;
      return;
    }
    ASSERT_EQ(std::ranges::count_if(
                  asked_, [](const Asked& one) { return one.reply->cancelled().has_value(); }),
              2);
    if (!asked_.front().reply->cancelled()) answer_oldest();
  };
  run();
  EXPECT_THAT(answers(), ElementsAre("a 200", "b 200"));
  stopped = false;
  asked_.clear();
  settings_.moment = [&] {
    if (!asked_.empty()) answer_oldest();
  };
  run();
  EXPECT_THAT(answers(),
              UnorderedElementsAre("a 200", "b 200", "c 200", "d 200", "e 200", "f 200"));
}

TEST_F(RunBatch, AnEndpointThatFailsIsA500) {
  write_input({"dropped", "thrown"});
  handle_ = [&] {
    const bool throws = asked_.size() == 1 && !answers().empty();
    asked_.clear();
    if (throws) throw std::runtime_error("a bug");
  };
  run();
  EXPECT_THAT(answers(), ElementsAre("dropped 500", "thrown 500"));
  EXPECT_THAT(read_file(output_), HasSubstr(R"("code":"internal")"));
}

// The device is lost: nothing is written of it, so that the next run asks again.
TEST_F(RunBatch, ComeAgainLaterIsNoAnswer) {
  write_input({"a", "b"});
  handle_ = [&] { answer_oldest(503); };
  settings_.failure = [] { return Error(ExitCode::device_lost, "device", "is lost", ""); };
  EXPECT_EQ(error_of([&] { run(); }), "7 device: is lost.");
  settings_.failure = [] { return std::nullopt; };
  EXPECT_THAT(error_of([&] { run(); }), HasSubstr("7 a: found no way to answer"));
  EXPECT_THAT(answers(), ElementsAre());
}

TEST_F(RunBatch, TellsWhatNoEndpointTakes) {
  const auto line = [](const std::string& id, const Json& members) {
    Json made = Json::parse(question(id));
    made.update(members);
    return made.dump() + "\n";
  };
  input_ = folder_.write(
      "in", line("url", {{"url", "/v1/embeddings"}}) + line("method", {{"method", "GET"}}) +
                line("stream", {{"body", {{"stream", true}}}}) + line("ok", Json::object()));
  handle_ = [&] { answer_oldest(); };
  run();
  EXPECT_THAT(answers(), UnorderedElementsAre("url 404", "method 405", "stream 400", "ok 200"));
  EXPECT_THAT(read_file(output_),
              HasSubstr(R"("error":{"message":"url: found \"/v1/embeddings\",)"));
}

TEST_F(RunBatch, AsksWithTheSeedOfTheName) {
  write_input({"q-1"});
  handle_ = [&] {
    EXPECT_EQ(Json::parse(asked_.front().request.body),
              Json::parse(R"({"prompt":"hi","seed":9961558556649037342})"));
    EXPECT_EQ(asked_.front().request.id, "req_8a3e90ba8a519e1e3e3da22b");
    answer_oldest();
  };
  run();
}

}  // namespace
}  // namespace ropewalk::test
