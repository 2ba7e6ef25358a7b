// deploy/nginx.conf and deploy/haproxy.cfg in front of two servers: what clients see through them.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "tests/apps/serving/running_server.h"
#include "tests/apps/small_model.h"
#include "tests/deploy/child.h"
#include "tests/deploy/manifests.h"
#include "tests/patience.h"

namespace ropewalk::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;
using Clock = std::chrono::steady_clock;

const Json kShort = {{"prompt", "hi"}, {"max_tokens", 4}};
Json long_stream(uint32_t tokens) {
  return {{"prompt", "hi"}, {"max_tokens", tokens}, {"stream", true}};
}
// More tokens than a test waits for, and so many that a drain finds their stream running.
constexpr uint32_t kEndless = 8000, kSomeTokens = 600;

std::string replaced(std::string text, const std::string& from, const std::string& by) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in the file";
  for (; at != std::string::npos; at = text.find(from, at + by.size()))
    text.replace(at, from.size(), by);
  return text;
}

class Routers : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (find_program(GetParam()).empty()) GTEST_SKIP() << "no " << GetParam();
    // Slow enough for replies that take seconds.
    config_ = write_small_config(folder_.path(), {.layers = 16, .hidden = 256, .context = 8192});
  }
  // Both servers and the router, which listens when it returns.
  void start(const Arguments& more) {
    Arguments arguments = {"--quiet", "--set", "serve.max_sequences=2", "--set",
                           "serve.drain.delay=1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    for (auto& server : servers_) server.emplace(config_, arguments);
    start_router();
    ASSERT_TRUE(eventually([&] { return is_listening() || child_->ended(); }));
    ASSERT_FALSE(child_->ended()) << read_file(log());
  }
  bool is_listening() const {
    try {
      return Client(router_).descriptor() >= 0;
    } catch (const std::runtime_error&) {
      return false;
    }
  }
  // The file of deploy/ with the addresses of this test.
  void start_router() {
    const std::string name = GetParam();
    router_ = "127.0.0.1:" + std::to_string(free_port());
    std::string text = deploy_file(name == "nginx" ? "nginx.conf" : "haproxy.cfg");
    for (size_t i = 0; i < servers_.size(); ++i)
      text = replaced(text, " ropewalk-" + std::to_string(i + 1) + ":8000",
                      " " + servers_[i]->address);
    if (name == "nginx") {
      text = replaced(text, "listen 8080", "listen " + router_);
      text = replaced(text, " /tmp/", " " + folder_.path().string() + "/");
      child_.emplace(find_program(name),
                     Arguments{"-p", folder_.path().string(), "-c", folder_.write("conf", text),
                               "-g", getuid() == 0 ? "daemon off; user root;" : "daemon off;"},
                     log());
    } else {
      text = replaced(text, "bind :8080", "bind " + router_);
      child_.emplace(find_program(name), Arguments{"-db", "-f", folder_.write("conf", text)},
                     log());
    }
  }
  std::filesystem::path log() const { return folder_.path() / "log"; }

  Answer post(const Json& body, const std::string& headers = "") const {
    return Client(router_).ask(RunningServer::post_bytes("/v1/completions", body, headers));
  }
  // A stream through the router, from which something has come.
  Client open_stream(uint32_t tokens) const {
    Client client(router_);
    client.send(RunningServer::post_bytes("/v1/completions", long_stream(tokens)));
    EXPECT_EQ(client.read_head().status, 200);
    std::string body;
    while (body.find("data: ") == std::string::npos && client.read_chunk(body)) {
    }
    return client;
  }
  double sum(const std::string& metric) const {
    return servers_[0]->metric(metric) + servers_[1]->metric(metric);
  }
  bool sum_reaches(const std::string& metric, double value) const {
    return eventually([&] { return sum(metric) == value; });
  }
  // The server that runs something, while the other does not.
  RunningServer& busy() {
    EXPECT_TRUE(sum_reaches("vllm:num_requests_running", 1));
    return *servers_[servers_[0]->metric("vllm:num_requests_running") == 1 ? 0 : 1];
  }
  size_t cancelled() const {
    size_t count = 0;
    for (const auto& server : servers_) {
      const std::string text = server->get("/metrics").body;
      const std::string mark = "finished_reason=\"abort\"} ";
      count += std::stoul(text.substr(text.find(mark) + mark.size()));
    }
    return count;
  }

  const TemporaryFolder folder_;
  std::string config_, router_;
  std::array<std::optional<RunningServer>, 2> servers_;
  std::optional<Child> child_;
};

// A stream that waits has a comment of a dozen bytes each second. A router that collects them would
// send them on after minutes.
TEST_P(Routers, SendBytesOnWhenTheyCome) {
  start({"--set", "serve.max_sequences=1", "--set", "serve.keep_alive_seconds=1"});
  std::vector<Client> streams;
  const std::string bytes = RunningServer::post_bytes("/v1/completions", long_stream(kEndless));
  for (const auto& server : servers_) {
    streams.emplace_back(server->address);
    streams.back().send(bytes);
  }
  ASSERT_TRUE(sum_reaches("vllm:num_requests_running", 2));
  Client waiting(router_);
  waiting.send(bytes);
  EXPECT_EQ(waiting.read_head().status, 200);
  std::string body;
  while (body.find(": keep-alive\n\n") == std::string::npos && waiting.read_chunk(body)) {
  }
  EXPECT_THAT(body, StartsWith(": ropewalk\n\n: keep-alive\n\n"));
  EXPECT_TRUE(sum_reaches("vllm:num_requests_waiting", 1));
}

TEST_P(Routers, TellAServerThatItsClientHasLeft) {
  start({});
  Client stream = open_stream(kEndless);
  EXPECT_TRUE(sum_reaches("vllm:num_requests_running", 1));
  stream.close();
  const auto left = Clock::now();
  ASSERT_TRUE(sum_reaches("vllm:num_requests_running", 0));
  const std::chrono::duration<double, std::milli> took = Clock::now() - left;
  RecordProperty("milliseconds", static_cast<int>(took.count()));
  EXPECT_EQ(cancelled(), 1u) << "it ran to its end";

  Client whole(router_);
  whole.send(
      RunningServer::post_bytes("/v1/completions", {{"prompt", "hi"}, {"max_tokens", kEndless}}));
  EXPECT_TRUE(sum_reaches("vllm:num_requests_running", 1));
  whole.close();
  ASSERT_TRUE(sum_reaches("vllm:num_requests_running", 0));
  EXPECT_EQ(cancelled(), 2u) << "it ran to its end";
}

TEST_P(Routers, UseBothServersAndRefuseWhereBothAreFull) {
  start({"--set", "serve.max_sequences=1", "--set", "serve.queue.requests=1"});
  std::vector<Client> streams;
  const std::string bytes = RunningServer::post_bytes("/v1/completions", long_stream(kEndless));
  for (int i = 0; i < 4; ++i) {
    streams.emplace_back(router_);
    streams.back().send(bytes);
    EXPECT_EQ(streams.back().read_head().status, 200) << i;
    EXPECT_TRUE(sum_reaches("vllm:num_requests_running", std::min(i + 1, 2)));
  }
  const Answer refused = post(kShort);
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr(R"("code":"queue_full")"));
  EXPECT_GE(std::stoi(refused.header("retry-after")), 1);
}

// A session's server takes two requests. The third goes to the other one.
TEST_P(Routers, AskTheOtherServerWhereASessionsOwnIsFull) {
  start({"--set", "serve.max_sequences=1", "--set", "serve.queue.requests=1"});
  std::vector<Client> streams;
  for (int i = 0; i < 3; ++i) {
    streams.emplace_back(router_);
    streams.back().send(
        RunningServer::post_bytes("/v1/completions", long_stream(kEndless), "X-Session-Id: a\r\n"));
    EXPECT_EQ(streams.back().read_head().status, 200) << i;
    EXPECT_TRUE(sum_reaches("vllm:num_requests_running", i < 2 ? 1 : 2));
    EXPECT_TRUE(sum_reaches("vllm:num_requests_waiting", i < 1 ? 0 : 1));
  }
}

TEST_P(Routers, LoseNothingWhileAServerDrains) {
  start({});
  Client stream = open_stream(kSomeTokens);
  RunningServer& drained = busy();
  std::atomic<bool> stop = false;
  std::atomic<int> asked = 0, answered = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i)
    clients.emplace_back([&] {
      while (!stop) {
        ++asked;
        const Answer answer = post(kShort);
        if (answer.status == 200 && answer.whole && Json::accept(answer.body)) ++answered;
      }
    });
  drained.program->signal(SIGTERM);
  std::string body;
  while (stream.read_chunk(body)) {
  }
  EXPECT_THAT(body, EndsWith("data: [DONE]\n\n"));
  EXPECT_EQ(drained.program->finish().code, 0);
  // The other server alone goes on.
  const int before = asked;
  EXPECT_TRUE(eventually([&] { return asked > before + 10; }));
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, asked);
}

// A reply that has begun is lost with its server; one that has not is asked of the other.
TEST_P(Routers, GoOnWhereAServerIsKilled) {
  start({});
  Client waiting(router_);
  waiting.send(
      RunningServer::post_bytes("/v1/completions", {{"prompt", "hi"}, {"max_tokens", 1000}}));
  RunningServer& killed = busy();
  killed.program->signal(SIGKILL);
  const Answer answer = waiting.read();
  EXPECT_EQ(answer.status, 200) << answer.body;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(post(kShort).status, 200) << i;
}

// Each turn of a session begins with the turns before it, which only one server has.
TEST_P(Routers, KeepASessionOnOneServer) {
  config_ = write_small_config(folder_.path() / "fast", {.context = 8192});
  start({});
  const auto hits_of_a_conversation = [&](const std::string& headers, const std::string& topic) {
    const double before = sum("vllm:prefix_cache_hits_total");
    std::string text = topic;
    for (int turn = 0; turn < 6; ++turn) {
      for (int word = 0; word < 150; ++word) text += " word";
      EXPECT_EQ(post({{"prompt", text}, {"max_tokens", 2}}, headers).status, 200);
    }
    return sum("vllm:prefix_cache_hits_total") - before;
  };
  double with = 0, without = 0;
  for (const std::string session : {"a", "b", "c", "d"}) {
    with += hits_of_a_conversation("X-Session-Id: " + session + "\r\n", "with " + session);
    without += hits_of_a_conversation("", "without " + session);
  }
  RecordProperty("prompt_tokens", static_cast<int>(sum("vllm:prefix_cache_queries_total")));
  RecordProperty("hits_with_session", static_cast<int>(with));
  RecordProperty("hits_without", static_cast<int>(without));
  EXPECT_GT(with, 1.3 * without);
}

TEST_P(Routers, KeepARequestsIdAndHideTheMetrics) {
  start({});
  EXPECT_EQ(post(kShort, "X-Request-Id: mine-1\r\n").header("x-request-id"), "mine-1");
  EXPECT_NE(post(kShort).header("x-request-id"), "");
  const std::string get = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  EXPECT_EQ(Client(router_).ask(get).status, 404);
}

INSTANTIATE_TEST_SUITE_P(Of, Routers, testing::Values("nginx", "haproxy"),
                         [](const auto& router) { return std::string(router.param); });

}  // namespace
}  // namespace ropewalk::test
