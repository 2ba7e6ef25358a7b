// batch, merge: the built program answers a file as the server answers its lines, however often it
// is killed, in any shards and in any order.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "tests/apps/program.h"
#include "tests/apps/serving/running_server.h"
#include "tests/apps/small_model.h"
#include "tests/patience.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Answers by custom_id, without what tells two runs apart: the time, a random name, and how much of
// a prompt was found in the cache.
using Answers = std::map<std::string, Json>;

Json comparable(Json body) {
  body.erase("id");
  body.erase("created");
  if (body.contains("usage")) body["usage"].erase("prompt_tokens_details");
  return body;
}

Answers read_answers(const std::filesystem::path& file) {
  Answers answers;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const Json answer = Json::parse(line);
    const Json& response = answer["response"];
    const auto [place, is_new] = answers.emplace(
        answer["custom_id"],
        Json({{"status", response["status_code"]}, {"body", comparable(response["body"])}}));
    EXPECT_TRUE(is_new) << place->first << " is answered twice";
    EXPECT_EQ(answer["error"], nullptr);
  }
  return answers;
}

std::string line_of(const std::string& id, const Json& body) {
  const bool chat = body.contains("messages");
  return Json({{"custom_id", id},
               {"method", "POST"},
               {"url", chat ? "/v1/chat/completions" : "/v1/completions"},
               {"body", body}})
             .dump() +
         "\n";
}

// Of many kinds: drawn, greedy, chats, with a common beginning, with several choices and
// log-probabilities.
std::vector<std::string> make_lines(int count) {
  std::vector<std::string> lines;
  for (int i = 0; i < count; ++i) {
    Json body = {{"max_tokens", 8 + i % 5 * 8}, {"temperature", i % 4 == 0 ? 0.0 : 1.3}};
    if (i % 3 == 0)
      body["messages"] = {{{"role", "user"}, {"content", "Say " + std::to_string(i)}}};
    else
      body["prompt"] = (i % 2 ? "A story of many words that begins like the others. " : "No ") +
                       std::to_string(i);
    if (i % 7 == 0) body["n"] = 2;
    if (i % 5 == 0) body["logprobs"] = body.contains("messages") ? Json(true) : Json(2);
    lines.push_back(line_of("q-" + std::to_string(i), body));
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

long lines_in(const std::string& file) { return std::ranges::count(read_file(file), '\n'); }

class Batch : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    config_ = write_small_config(folder_->path(), {});
    input_ = folder_->write("questions.jsonl", joined(make_lines(kLines)));
    whole_ = folder_->path() / "whole.jsonl";
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = run(input_, whole_, {"--json"});
    EXPECT_EQ(outcome.json()["answered"], kLines);
    whole_seconds_ =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  static void TearDownTestSuite() { delete folder_; }

  static Arguments arguments(const std::string& input, const std::string& output,
                             const Arguments& more = {}) {
    Arguments all = {"batch", config_, "--input", input, "--output", output};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static Outcome run(const std::string& input, const std::string& output,
                     const Arguments& more = {}) {
    return run_program(arguments(input, output, more), "");
  }
  static std::string path(const std::string& name) { return folder_->path() / name; }

  static constexpr int kLines = 120;
  static TemporaryFolder* folder_;
  static std::string config_, input_, whole_;
  static double whole_seconds_;  // that the whole took
};
TemporaryFolder* Batch::folder_ = nullptr;
std::string Batch::config_, Batch::input_, Batch::whole_;
double Batch::whole_seconds_ = 0;

// The server is asked over HTTP, each line alone, with the seed that the answer reports.
TEST_F(Batch, AnswersAsTheServerDoes) {
  const Answers answers = read_answers(whole_);
  ASSERT_EQ(answers.size(), kLines);
  const RunningServer server(config_);
  for (const std::string& line : make_lines(kLines)) {
    const Json question = Json::parse(line);
    const Json& answer = answers.at(question["custom_id"]);
    EXPECT_EQ(answer["status"], 200);
    Json body = question["body"];
    body["seed"] = answer["body"]["ropewalk"]["seeds"][0];
    EXPECT_EQ(answer["body"].dump(), comparable(server.ask(question["url"], body)).dump());
  }
  // The first digits of `echo -n q-1 | sha256sum`.
  EXPECT_EQ(answers.at("q-1")["body"]["ropewalk"]["seeds"][0], 0x8a3e90ba8a519e1eu);
}

TEST_F(Batch, IsTheSameInAnyShardsAndOrder) {
  const Answers whole = read_answers(whole_);
  for (const std::string count : {"2", "3"}) {
    Arguments merge = {"merge", "--input", input_, "--output", path("merged" + count), "--json"};
    for (int i = 0; i < std::stoi(count); ++i) {
      const std::string part = path("part" + count + std::to_string(i));
      EXPECT_EQ(run(input_, part, {"--shard", std::to_string(i) + "/" + count}).code, 0);
      merge.push_back(part);
    }
    EXPECT_EQ(run_program(merge, "").json(),
              Json({{"lines", kLines}, {"answered", kLines}, {"failed", 0}}));
    EXPECT_EQ(read_answers(path("merged" + count)), whole);
    merge.pop_back();
    const Outcome incomplete = run_program(merge, "");
    EXPECT_EQ(incomplete.code, 2);
    EXPECT_THAT(incomplete.err, HasSubstr("lines have no answer, the first is line"));
  }
  std::vector<std::string> lines = make_lines(kLines);
  std::shuffle(lines.begin(), lines.end(), std::mt19937(5));
  const std::string shuffled = folder_->write("shuffled.jsonl", joined(lines));
  const Outcome other =
      run(shuffled, path("shuffled"), {"--max-inflight", "3", "--set", "serve.max_sequences=2"});
  EXPECT_EQ(other.code, 0) << other.err;
  EXPECT_EQ(read_answers(path("shuffled")), whole);
}

// Runs until it is through: killed when some lines are answered, then 60 times at random moments.
TEST_F(Batch, AnswersEveryLineOnceHoweverOftenItIsKilled) {
  const std::string output = path("killed");
  const Arguments all = arguments(input_, output, {"--quiet"});
  ASSERT_TRUE(eventually([&] {  // a run that was too fast begins anew
    std::filesystem::remove(output);
    std::filesystem::remove(output + ".batch");
    Program program(all);
    EXPECT_TRUE(eventually([&] { return lines_in(output) > 0; }));
    program.signal(SIGKILL);
    program.finish();
    return lines_in(output) < kLines;
  }));
  std::mt19937 random(7);
  for (int kills = 0;; ++kills) {
    Program program(all);
    if (kills < 60) {
      const double life = std::uniform_real_distribution(0.0, 0.7 * whole_seconds_)(random);
      std::this_thread::sleep_for(std::chrono::duration<double>(life));
      program.signal(SIGKILL);
    }
    const Outcome outcome = program.finish();
    if (outcome.signal != 0) continue;
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    break;
  }
  EXPECT_EQ(read_answers(output), read_answers(whole_));
}

TEST_F(Batch, MendsACutLine) {
  const std::string all = read_file(whole_);
  const std::string output = path("cut");
  std::filesystem::copy_file(whole_ + ".batch", output + ".batch");
  const size_t within = all.find('\n', all.size() / 2) + 20;  // a line near the middle
  for (const size_t bytes : {all.size() - 1, within, size_t{1}}) {
    write_file(output, all.substr(0, bytes));
    const Outcome outcome = run(input_, output);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("its last line was unfinished and is answered again"));
    EXPECT_EQ(read_answers(output), read_answers(whole_));
    EXPECT_TRUE(read_file(output).starts_with(all.substr(0, all.rfind('\n', bytes - 1) + 1)));
  }
}

TEST_F(Batch, FinishesWhatHasBegunAtASignal) {
  const TemporaryFolder scratch;
  const std::string slow =
      write_small_config(scratch.path(), {.layers = 8, .hidden = 256, .context = 1024});
  std::string lines;
  for (int i = 0; i < 12; ++i)
    lines += line_of(std::to_string(i), {{"prompt", "hi"}, {"max_tokens", 60 + 15 * i}});
  const std::string input = scratch.write("in", lines), output = scratch.path() / "out";
  const Arguments all = {"batch",  slow,       "--input",
                         input,    "--output", output,
                         "--json", "--set",    "serve.max_sequences=2"};
  Program program(all);
  ASSERT_TRUE(eventually([&] { return lines_in(output) > 0; }));
  program.signal(SIGTERM);
  const Outcome stopped = program.finish();
  EXPECT_EQ(stopped.code, 143);
  const Json said = stopped.json();
  EXPECT_GE(said["answered"], 2);
  EXPECT_LE(said["answered"], 5);  // two ran, others may have ended before the signal came
  EXPECT_EQ(said["left"], 12 - said["answered"].get<int>());
  EXPECT_EQ(read_answers(output).size(), said["answered"]);
  const Json rest = run_program(all, "").json();
  EXPECT_EQ(rest["answered"], 12);
  EXPECT_EQ(rest["run"]["lines"], said["left"]);
  EXPECT_EQ(read_answers(output).size(), 12u);
}

TEST_F(Batch, TellsWhatWentWrongWithALine) {
  const std::string input = folder_->write(
      "bad.jsonl", line_of("fine", {{"prompt", "hi"}}) + line_of("type", {{"prompt", 5}}) +
                       line_of("long", {{"prompt", std::string(2000, 'x')}}) +
                       line_of("model", {{"prompt", "hi"}, {"model", "gpt-4"}}) +
                       R"({"custom_id":"url","method":"POST","url":"/v1/embeddings","body":{}})"
                       "\n"
                       R"({"custom_id":"empty"})");
  const std::string output = path("bad"), errors = path("errors");
  const Outcome outcome = run(input, output, {"--errors", errors, "--json"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.json()["failed"], 5);
  EXPECT_EQ(read_answers(output).size(), 1u);
  const Answers failed = read_answers(errors);
  const RunningServer server(config_);
  EXPECT_EQ(failed.at("type")["status"], 400);
  EXPECT_EQ(failed.at("type")["body"],
            Json::parse(server.post("/v1/completions", {{"prompt", 5}}).body));
  EXPECT_EQ(failed.at("long")["body"]["error"]["code"], "context_length_exceeded");
  EXPECT_EQ(failed.at("model")["body"]["error"]["code"], "model_not_found");
  EXPECT_EQ(failed.at("url")["body"]["error"]["code"], "unknown_url");
  EXPECT_EQ(failed.at("empty")["status"], 404);
  // Again: nothing is left to do, and the code still says that lines failed.
  EXPECT_EQ(run(input, output, {"--errors", errors}).code, 1);
  const Outcome again =
      run(input, output, {"--errors", errors, "--retry-errors", "--set", "serve.any_model=true"});
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("answers of another model, device or configuration"));
  EXPECT_EQ(
      run(input, output, {"--errors", errors, "--retry-errors", "--json"}).json()["run"]["lines"],
      5);
  EXPECT_EQ(read_answers(errors).size(), 5u);
}

TEST_F(Batch, RefusesAnInputBeforeItLoadsTheModel) {
  const std::string twice =
      folder_->write("twice", line_of("a", {{"prompt", "hi"}}) + line_of("a", {{"prompt", "ho"}}));
  const Outcome doubled = run(twice, path("none"));
  EXPECT_EQ(doubled.code, 2);
  EXPECT_THAT(doubled.err, HasSubstr(":2: found custom_id a, which line 1 has already"));
  EXPECT_FALSE(std::filesystem::exists(path("none")));
  const Outcome broken = run(folder_->write("broken", "{\n"), path("none"));
  EXPECT_EQ(broken.code, 2);
  EXPECT_THAT(broken.err, HasSubstr("broken:1: "));
  EXPECT_EQ(run(input_, path("none"), {"--shard", "3/3"}).code, 2);
  EXPECT_EQ(run(path("missing"), path("none")).code, 2);
  EXPECT_EQ(run(input_, config_).code, 2);  // not begun by a batch
  EXPECT_EQ(run(input_, whole_, {"--shard", "0/2"}).code, 2);
}

TEST_F(Batch, LetsOneProcessWriteAtATime) {
  const TemporaryFolder scratch;
  const std::string slow =
      write_small_config(scratch.path(), {.layers = 8, .hidden = 256, .context = 4096});
  const std::string input =
      scratch.write("in", line_of("a", {{"prompt", "hi"}, {"max_tokens", 4000}}));
  const Arguments all = {"batch", slow, "--input", input, "--output", scratch.path() / "out"};
  Program first(all);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(scratch.path() / "out"); }));
  const Outcome second = run_program(all, "");
  EXPECT_EQ(second.code, 2);
  EXPECT_THAT(second.err, HasSubstr("another batch writes to this output"));
  first.signal(SIGKILL);
}

}  // namespace
}  // namespace ropewalk::test
