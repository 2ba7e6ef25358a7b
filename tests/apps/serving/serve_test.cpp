// serve: the built program as HTTP clients see it, against what the other commands say.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "tests/apps/serving/running_server.h"
#include "tests/apps/small_model.h"
#include "tests/patience.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class Serve : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    config_ = write_small_config(folder_->path(), {});
    server_ = new RunningServer(config_);
  }
  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
  }
  static const RunningServer& server() { return *server_; }
  static const std::string& config() { return config_; }
  static const TemporaryFolder& folder() { return *folder_; }

 private:
  static TemporaryFolder* folder_;
  static RunningServer* server_;
  static std::string config_;
};
TemporaryFolder* Serve::folder_ = nullptr;
RunningServer* Serve::server_ = nullptr;
std::string Serve::config_;

TEST_F(Serve, CompletesWithTheTokensOfRun) {
  const Json run = run_program({"run", config(), "--prompt", "hi", "--json"}, "").json();
  const Json answer = server().ask("/v1/completions", {{"prompt", "hi"}, {"max_tokens", 16}});
  EXPECT_EQ(answer["choices"][0]["text"], run["text"]);
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 2);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 16);
  EXPECT_EQ(answer["object"], "text_completion");
  // Drawn with a seed, too: choice k has the seed plus k.
  const Json drawn = server().ask(
      "/v1/completions",
      {{"prompt", "hi"}, {"max_tokens", 16}, {"temperature", 1.5}, {"seed", 40}, {"n", 3}});
  for (size_t k = 0; k < 3; ++k) {
    const Json alone = run_program({"run", config(), "--prompt", "hi", "--json", "--set",
                                    "sampling=[{temperature: 1.5}]", "--set",
                                    "generation.seed=" + std::to_string(40 + k)},
                                   "")
                           .json();
    EXPECT_EQ(drawn["choices"][k]["text"], alone["text"]) << k;
  }
  EXPECT_EQ(drawn["ropewalk"]["seeds"], Json({40, 41, 42}));
}

TEST_F(Serve, StreamsWhatItSaysWithoutStream) {
  Json body = {{"messages", {{{"role", "user"}, {"content", "hi"}}}},
               {"max_tokens", 12},
               {"temperature", 1.2},
               {"seed", 3},
               {"logprobs", true},
               {"top_logprobs", 2}};
  const Json whole = server().ask("/v1/chat/completions", body);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const std::vector<Json> events = server().stream("/v1/chat/completions", body);
  std::string text;
  Json tokens = Json::array();
  for (const Json& event : events) {
    if (event["choices"].empty()) continue;
    const Json& choice = event["choices"][0];
    text += choice["delta"].value("content", "");
    if (!choice["logprobs"].is_null())
      for (const Json& token : choice["logprobs"]["content"]) tokens.push_back(token);
  }
  EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
  EXPECT_EQ(tokens, whole["choices"][0]["logprobs"]["content"]);
  EXPECT_EQ(events.front()["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(events.back()["usage"], whole["usage"]);
  EXPECT_EQ(events[events.size() - 2]["choices"][0]["finish_reason"], "length");
}

// What lm-evaluation-harness sums: the prompt's log-probabilities are those of `ropewalk score`.
TEST_F(Serve, EchoedLogprobsAreThoseOfScoreToTheDigit) {
  const Json ids = {1, 926, 5, 7, 40, 300};
  const std::string file = folder().write("ids.txt", "1 926 5 7 40 300");
  const Json score = run_program({"score", config(), "--ids", file, "--json"}, "").json();
  EXPECT_EQ(server().ask("/ropewalk/v1/score", {{"ids", {ids}}})[0], score);
  const Json answer = server().ask(
      "/v1/completions",
      {{"prompt", ids}, {"echo", true}, {"max_tokens", 1}, {"logprobs", 1}, {"temperature", 0}});
  const Json& logprobs = answer["choices"][0]["logprobs"];
  ASSERT_EQ(logprobs["tokens"].size(), 7u);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(logprobs["token_logprobs"][i], score["logprobs"][i]);
  const Json none = server().ask(
      "/v1/completions", {{"prompt", ids}, {"echo", true}, {"max_tokens", 0}, {"logprobs", 1}});
  EXPECT_EQ(none["choices"][0]["logprobs"]["token_logprobs"], score["logprobs"]);
  EXPECT_EQ(none["usage"]["completion_tokens"], 0);
}

TEST_F(Serve, TokenizesAsItsTokenizerDoes) {
  const Json tokens = server().ask("/tokenize", {{"prompt", "<s>hi"}, {"return_token_strs", true}});
  EXPECT_EQ(tokens["tokens"][0], 1);  // the name means the token here
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  EXPECT_EQ(tokens["token_strs"][0], "<s>");
  EXPECT_EQ(server().ask("/detokenize", {{"tokens", {1, 926}}})["prompt"], "hi");
  EXPECT_EQ(server().ask("/v1/token/encode", {{"text", "hi"}})["tokens"], Json({1, 926}));
  EXPECT_EQ(server().ask("/v1/token/decode", {{"tokens", {926}}})["text"], "hi");
  const Json info = Json::parse(server().get("/tokenizer_info").body);
  EXPECT_EQ(info["eos_token"], "</s>");
  EXPECT_EQ(info["bos_token"], "<s>");
}

TEST_F(Serve, ExplainsAndRenders) {
  const Json explained = server().ask(
      "/ropewalk/v1/explain",
      {{"prompt", "hi"}, {"temperature", 0.5}, {"top_p", 0.9}, {"max_tokens", 4}, {"foo", 1}});
  EXPECT_EQ(explained["chain"][0]["sampler"], "temperature");
  EXPECT_EQ(explained["chain"][0]["options"][0],
            Json({{"option", "temperature"}, {"value", "0.5"}, {"from", "temperature"}}));
  EXPECT_EQ(explained["ignored"], Json({"foo"}));
  EXPECT_EQ(explained["prompt_tokens"], Json({2}));
  const std::string file = folder().write("m.json", R"([{"role":"user","content":"hi"}])");
  const Json render = run_program({"render", config(), "--messages", file, "--json"}, "").json();
  const Json rendered =
      server().ask("/ropewalk/v1/render", {{"messages", {{{"role", "user"}, {"content", "hi"}}}}});
  EXPECT_EQ(rendered["ids"], render["ids"]);
  EXPECT_EQ(rendered["text"], render["text"]);
}

TEST_F(Serve, TellsWhatItServes) {
  const Json models = Json::parse(server().get("/v1/models").body);
  EXPECT_EQ(models["data"][0]["id"], "model");  // the folder's name
  EXPECT_EQ(models["data"][0]["max_model_len"], 256);
  EXPECT_EQ(server().get("/v1/models/model").status, 200);
  EXPECT_EQ(server().get("/v1/models/gpt-4").status, 404);
  for (const char* path : {"/health", "/ready", "/ping", "/live", "/version", "/get_model_info",
                           "/v1/model", "/v1/model/list", "/props"})
    EXPECT_EQ(server().get(path).status, 200) << path;
  const double before = server().metric("vllm:generation_tokens_total");
  server().ask("/v1/completions", {{"prompt", "hi"}, {"max_tokens", 5}});
  EXPECT_EQ(server().metric("vllm:generation_tokens_total"), before + 5);
  EXPECT_EQ(server().metric("ropewalk_ready"), 1);
}

TEST_F(Serve, RefusesInOneShape) {
  const auto code = [](const Answer& answer) {
    return std::to_string(answer.status) + " " +
           Json::parse(answer.body)["error"]["code"].get<std::string>();
  };
  EXPECT_EQ(code(server().get("/v1/engines")), "404 unknown_url");
  EXPECT_EQ(code(server().get("/v1/completions")), "405 method_not_allowed");
  EXPECT_EQ(code(server().post("/v1/completions", "{")), "400 invalid_json");
  EXPECT_EQ(code(server().post("/v1/completions", R"({"a":1,"a":2})")), "400 invalid_json");
  EXPECT_EQ(code(server().post("/v1/completions", {{"prompt", "hi"}, {"top_p", 7}})),
            "400 invalid_value");  // what the plugin says
  EXPECT_EQ(code(server().post("/v1/completions", {{"prompt", "hi"}, {"n", 99}})),
            "400 invalid_value");
  EXPECT_EQ(code(server().post("/v1/completions", {{"prompt", "hi"}, {"foo", 1}},
                               "X-Ropewalk-Strict: 1\r\n")),
            "400 unknown_parameter");
  const Answer ignored = server().post("/v1/completions", {{"prompt", "hi"}, {"foo", 1}});
  EXPECT_EQ(ignored.header("x-ropewalk-ignored"), "foo");
  Client client(server().address);
  EXPECT_EQ(code(client.ask("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                            "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}")),
            "415 not_json");
  EXPECT_EQ(
      code(Client(server().address).ask("GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n")),
      "403 host_not_allowed");
}

// Company, and prompts that are found in the cache, change no token.
TEST_F(Serve, AnswersAmongOthersAsAlone) {
  const auto body = [](size_t i) {
    return Json{{"prompt", std::string(20 * i, 'a') + "what is " + std::to_string(i)},
                {"max_tokens", 20},
                {"temperature", 1.3},
                {"seed", i},
                {"logprobs", 2}};
  };
  std::vector<Json> alone;
  for (size_t i = 0; i < 12; ++i)
    alone.push_back(server().ask("/v1/completions", body(i))["choices"]);
  std::vector<Client> clients;
  for (size_t i = 0; i < 12; ++i) {
    clients.emplace_back(server().address);
    clients.back().send(RunningServer::post_bytes("/v1/completions", body(i)));
  }
  for (size_t i = 0; i < 12; ++i)
    EXPECT_EQ(Json::parse(clients[i].read().body)["choices"], alone[i]) << i;
}

TEST_F(Serve, AClientThatLeavesEndsItsRequest) {
  Client client(server().address);
  client.send(RunningServer::post_bytes(
      "/v1/completions",
      {{"prompt", "hi"}, {"max_tokens", 250}, {"n", 8}, {"temperature", 1}, {"stream", true}}));
  EXPECT_EQ(client.read_head().status, 200);
  client.close();
  EXPECT_TRUE(eventually([] {
    return server().metric("vllm:num_requests_running") +
               server().metric("vllm:num_requests_waiting") ==
           0;
  }));
}

TEST_F(Serve, StopsAtSigtermWhenAllIsAnswered) {
  RunningServer own(config());
  const Outcome outcome = own.stop();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("ropewalk serves model at http://127.0.0.1:"));
}

TEST_F(Serve, LetsAReplyFinishBeforeItStops) {
  RunningServer own(config());
  Client client(own.address);
  client.send(RunningServer::post_bytes(
      "/v1/completions", {{"prompt", "hi"}, {"max_tokens", 200}, {"stream", true}, {"seed", 9}}));
  const Answer head = client.read_head();
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("x-ropewalk-seed"), "9");
  own.program->signal(SIGTERM);
  std::string body;
  while (client.read_chunk(body)) {
  }
  EXPECT_THAT(
      body, AllOf(HasSubstr(R"("finish_reason":"length")"), testing::EndsWith("data: [DONE]\n\n")));
  EXPECT_EQ(own.program->finish().code, 0);
}

TEST_F(Serve, CutsAReplyWhoseTimeIsOver) {
  const TemporaryFolder scratch;
  const std::string slow =
      write_small_config(scratch.path(), {.layers = 8, .hidden = 256, .context = 4096});
  RunningServer own(slow, {"--set", "serve.drain.seconds=0"});
  Client client(own.address);
  client.send(RunningServer::post_bytes(
      "/v1/completions", {{"prompt", "hi"}, {"max_tokens", 4000}, {"stream", true}}));
  EXPECT_EQ(client.read_head().status, 200);
  own.program->signal(SIGTERM);
  std::string body;
  while (client.read_chunk(body)) {
  }
  EXPECT_THAT(body,
              AllOf(HasSubstr(R"("code":"draining")"), testing::EndsWith("data: [DONE]\n\n")));
  EXPECT_EQ(own.program->finish().code, 143);
}

TEST_F(Serve, SaysWhenItIsFullAndKeepsSilentStreamsAlive) {
  const TemporaryFolder scratch;
  const std::string slow =
      write_small_config(scratch.path(), {.layers = 8, .hidden = 256, .context = 4096});
  RunningServer own(slow, {"--set", "serve.max_sequences=1", "--set", "serve.queue.requests=1",
                           "--set", "serve.keep_alive_seconds=1"});
  const std::string bytes = RunningServer::post_bytes(
      "/v1/completions", {{"prompt", "hi"}, {"max_tokens", 4000}, {"stream", true}});
  Client runs(own.address), waits(own.address);
  runs.send(bytes);
  EXPECT_EQ(runs.read_head().status, 200);
  EXPECT_TRUE(own.reaches("vllm:num_requests_running", 1));
  // Its place in the queue is free after its first step, which the text of the second one tells.
  std::string begun;
  while (begun.find("data: ", begun.find("data: ") + 1) == std::string::npos &&
         runs.read_chunk(begun)) {
  }
  waits.send(bytes);
  EXPECT_EQ(waits.read_head().status, 200);
  EXPECT_TRUE(own.reaches("vllm:num_requests_waiting", 1));
  const Answer refused = own.post("/v1/completions", {{"prompt", "hi"}});
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr(R"("code":"queue_full")"));
  EXPECT_GE(std::stoi(refused.header("retry-after")), 1);
  EXPECT_EQ(own.get("/health").status, 200);
  std::string silent;
  while (silent.find(": keep-alive\n\n") == std::string::npos && waits.read_chunk(silent)) {
  }
  EXPECT_TRUE(silent.starts_with(": ropewalk\n\n: keep-alive\n\n")) << silent.substr(0, 200);
}

TEST_F(Serve, WantsAKeyWhereThereAreAny) {
  const std::string file = folder().write("keys", "ann:secret-one\n");
  chmod(file.c_str(), 0600);
  RunningServer own(config(), {"--set", "serve.keys.file=" + file});
  EXPECT_EQ(own.get("/health").status, 200);
  const Answer refused = own.get("/v1/models");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.header("www-authenticate"), "Bearer");
  EXPECT_EQ(own.get("/v1/models", "Authorization: Bearer secret-one\r\n").status, 200);
  const Outcome outcome = own.stop();
  EXPECT_THAT(outcome.err, HasSubstr(R"("key":"ann")"));
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("secret-one")));
}

// There alone: neither in the access log nor for anybody else to read.
TEST_F(Serve, WritesRequestsWhereItIsToldTo) {
  const std::string log = folder().path() / "said", file = log + "/prompts.jsonl";
  RunningServer own(config(), {"--set", "serve.log.prompts=" + log});
  const Json first = {{"prompt", "a private question"}, {"max_tokens", 1}};
  const Json second =
      Json::parse(R"({"messages": [{"role": "user", "content": "another"}], "max_tokens": 1})");
  EXPECT_EQ(own.post("/v1/completions", first, "X-Request-Id: r1\r\n").status, 200);
  EXPECT_EQ(own.post("/v1/chat/completions", second, "X-Request-Id: r2\r\n").status, 200);
  const Outcome outcome = own.stop();
  EXPECT_THAT(outcome.err, HasSubstr("warning: serve.log.prompts: the requests of all clients are "
                                     "written to " +
                                     file));
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("private")));
  struct stat facts {};
  ASSERT_EQ(stat(file.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  std::ifstream lines(file);
  std::string line;
  const auto expect_line = [&](const char* id, const char* path, const Json& body) {
    ASSERT_TRUE(std::getline(lines, line));
    const Json said = Json::parse(line);
    EXPECT_EQ(said["id"], id);
    EXPECT_EQ(said["path"], path);
    EXPECT_EQ(said["body"], body);
  };
  expect_line("r1", "/v1/completions", first);
  expect_line("r2", "/v1/chat/completions", second);
  EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(Serve, RefusesAPromptLogThatItCannotWrite) {
  const Outcome outcome =
      run_program({"serve", config(), "--set", "serve.log.prompts=/dev/null/said"}, "");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              HasSubstr("serve.log.prompts: cannot write /dev/null/said/prompts.jsonl: Not a "
                        "directory"));
}

// What was drawn from, by the law of softmax: two candidates are left, their shares add up to one.
TEST_F(Serve, TellsTheLogprobsOfTheChoice) {
  const Json answer = server().ask("/v1/completions", {{"prompt", "hi"},
                                                       {"max_tokens", 3},
                                                       {"temperature", 1.0},
                                                       {"top_k", 2},
                                                       {"logprobs", 5},
                                                       {"ropewalk", {{"logprobs", "final"}}}});
  for (const Json& top : answer["choices"][0]["logprobs"]["top_logprobs"]) {
    double sum = 0;
    for (const Json& logprob : top) sum += std::exp(logprob.get<double>());
    EXPECT_EQ(top.size(), 2u);
    EXPECT_NEAR(sum, 1, 1e-9);
  }
}

TEST_F(Serve, SaysWhetherARepliesBitsDependOnOthers) {
  EXPECT_EQ(Json::parse(server().get("/version").body)["batch_invariant"], true);
  EXPECT_EQ(Json::parse(server().get("/props").body)["batch_invariant"], true);
  EXPECT_EQ(server().ask("/ropewalk/v1/explain", {{"prompt", "hi"}})["batch_invariant"], true);
  EXPECT_EQ(RunningServer(config(), {"--set", "serve.deterministic=true"}).stop().code, 0);
}

TEST_F(Serve, HasAPageOnTheLoopback) {
  const Answer page = server().get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.header("content-security-policy"), HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.body, HasSubstr("<!doctype html>"));
  const RunningServer without(config(), {"--set", "serve.page=false"});
  EXPECT_EQ(without.get("/").status, 404);
}

TEST_F(Serve, ReadsItsKeysAgainAtSighup) {
  const std::string file = folder().write("reloaded", "ann:secret-one\n");
  chmod(file.c_str(), 0600);
  RunningServer own(config(), {"--set", "serve.keys.file=" + file});
  own.program->signal(SIGHUP);
  EXPECT_TRUE(own.program->wait_for_error("read again, there are 1 keys now"));
  EXPECT_EQ(own.get("/v1/models", "X-Api-Key: secret-one\r\n").status, 200);
  EXPECT_EQ(own.stop().code, 0);
}

TEST_F(Serve, LimitsWhatOneKeyMayHave) {
  RunningServer own(config(), {"--set", "serve.per_key={tokens_per_minute: 10}"});
  for (const int status : {200, 200})  // no key, no quota
    EXPECT_EQ(own.post("/v1/completions", {{"prompt", "hi"}, {"max_tokens", 20}}).status, status);
  const std::string file = folder().write("limited", "ann:secret-one\nbob:secret-two\n");
  chmod(file.c_str(), 0600);
  RunningServer limited(config(), {"--set", "serve.per_key={tokens_per_minute: 10}", "--set",
                                   "serve.keys.file=" + file});
  const auto ask = [&](const std::string& key) {
    return limited.post("/v1/completions", {{"prompt", "hi"}, {"max_tokens", 20}},
                        "X-Api-Key: " + key + "\r\n");
  };
  EXPECT_EQ(ask("secret-one").status, 200);
  const Answer refused = ask("secret-one");
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.body, HasSubstr(R"("code":"rate_limited")"));
  EXPECT_GE(std::stoi(refused.header("retry-after")), 1);
  EXPECT_EQ(ask("secret-two").status, 200);
}

TEST_F(Serve, RefusesWhatItCannotListenOn) {
  const auto refused = [](const std::string& address) {
    return run_program({"serve", config(), "--listen", address}, "");
  };
  const Outcome open = refused("0.0.0.0:0");
  EXPECT_EQ(open.code, 2);
  EXPECT_THAT(open.err, HasSubstr("there are no API keys"));
  EXPECT_EQ(refused(server().address).code, 2);  // in use
  EXPECT_EQ(refused("localhost:80").code, 2);    // not numeric
}

}  // namespace
}  // namespace ropewalk::test
