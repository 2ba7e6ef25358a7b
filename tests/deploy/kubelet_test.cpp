// A stand-in for a kubelet: starts the container's command of deploy/k8s/deployment.yaml, asks its
// probes as often as Kubernetes would, 50 times as fast, and ends it as a pod is deleted.
#include <gmock/gmock.h>
#include <signal.h>
#include <stdlib.h>

#include <chrono>
#include <optional>
#include <thread>

#include "tests/apps/serving/running_server.h"
#include "tests/apps/small_model.h"
#include "tests/deploy/child.h"
#include "tests/deploy/manifests.h"

namespace ropewalk::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kFaster = 50;
constexpr const char* kKey = "Authorization: Bearer a-long-secret\r\n";

class Kubelet {
 public:
  // The pod's command and secret, with a configuration and options of the test, on a port of its
  // own.
  Kubelet(const std::string& config, const Arguments& more) : port_(std::to_string(free_port())) {
    setenv("ROPEWALK_API_KEYS", "ann:a-long-secret", 1);
    Arguments arguments = pod_.arguments;
    EXPECT_EQ(arguments[1], "/etc/ropewalk/serve.yaml");
    arguments[1] = config;
    EXPECT_EQ(arguments[3], "0.0.0.0:" + std::to_string(pod_.port));
    arguments[3] = "0.0.0.0:" + port_;
    arguments.insert(arguments.end(), {"--quiet", "--set", "serve.max_sequences=2"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    program_.emplace(arguments);
    unsetenv("ROPEWALK_API_KEYS");
  }

  // A probe has no key, and names the pod by its address.
  bool ask(const Probe& probe) const {
    try {
      const int status =
          client().ask("GET " + probe.path + " HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n").status;
      return status >= 200 && status < 400;
    } catch (const std::runtime_error&) {
      return false;  // nobody listens
    }
  }
  // False where it is given up: the pod would be started again.
  bool start() const {
    for (uint32_t failed = 0; failed < pod_.startup.failures; ++failed) {
      if (ask(pod_.startup)) return true;
      pause(pod_.startup);
    }
    return false;
  }
  static void pause(const Probe& probe) {
    std::this_thread::sleep_for(std::chrono::milliseconds(probe.period) / kFaster);
  }
  bool takes_connections() const {
    try {
      client();
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }
  Client stream(uint32_t tokens) const {
    Client client = this->client();
    client.send(RunningServer::post_bytes(
        "/v1/completions", {{"prompt", "hi"}, {"max_tokens", tokens}, {"stream", true}}, kKey));
    EXPECT_EQ(client.read_head().status, 200);
    return client;
  }
  Answer complete() const {
    return client().ask(
        RunningServer::post_bytes("/v1/completions", {{"prompt", "hi"}, {"max_tokens", 2}}, kKey));
  }
  void delete_pod() { program_->signal(SIGTERM); }
  Outcome finish() { return program_->finish(); }
  const Pod& pod() const { return pod_; }

 private:
  Client client() const { return Client("127.0.0.1:" + port_); }

  const Pod pod_ = read_pod();
  const std::string port_;
  std::optional<Program> program_;
};

class KubeletTest : public testing::Test {
 protected:
  // A reply of 8000 tokens takes several seconds.
  const TemporaryFolder folder_;
  const std::string config_ =
      write_small_config(folder_.path(), {.layers = 16, .hidden = 256, .context = 8192});
};

std::string rest_of(Client& client) {
  std::string body;
  while (client.read_chunk(body)) {
  }
  return body;
}

TEST_F(KubeletTest, StartsAndIsReadyAndAlive) {
  Kubelet kubelet(config_, {});
  ASSERT_TRUE(kubelet.start());
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(kubelet.ask(kubelet.pod().readiness));
    EXPECT_TRUE(kubelet.ask(kubelet.pod().liveness));
    Kubelet::pause(kubelet.pod().readiness);
  }
  kubelet.delete_pod();
}

// While a pod is deleted, others still send requests to it until all of them know.
TEST_F(KubeletTest, DrainsWithoutLosingAReply) {
  Kubelet kubelet(config_, {"--set", "serve.drain={delay: 5, seconds: 60}"});
  ASSERT_TRUE(kubelet.start());
  Client running = kubelet.stream(600);
  const auto deleted = Clock::now();
  kubelet.delete_pod();
  while (kubelet.ask(kubelet.pod().readiness)) Kubelet::pause(kubelet.pod().readiness);
  EXPECT_LT(Clock::now() - deleted, std::chrono::milliseconds(4000)) << "ready after SIGTERM";
  EXPECT_EQ(kubelet.complete().status, 200) << "a late request within serve.drain.delay";

  EXPECT_TRUE(kubelet.ask(kubelet.pod().liveness)) << "a server that drains is alive";
  while (kubelet.takes_connections()) Kubelet::pause(kubelet.pod().readiness);
  EXPECT_GE(Clock::now() - deleted, std::chrono::milliseconds(4990));

  const std::string body = rest_of(running);
  EXPECT_THAT(body, HasSubstr(R"("finish_reason":"length")"));
  EXPECT_THAT(body, EndsWith("data: [DONE]\n\n"));
  const Outcome outcome = kubelet.finish();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

// A reply that takes longer than serve.drain.seconds is cut with words, not by SIGKILL.
TEST_F(KubeletTest, EndsBeforeItWouldBeKilled) {
  Kubelet kubelet(config_, {"--set", "serve.drain={delay: 1, seconds: 1}"});
  ASSERT_TRUE(kubelet.start());
  Client running = kubelet.stream(8000);
  const auto deleted = Clock::now();
  kubelet.delete_pod();
  EXPECT_THAT(rest_of(running), HasSubstr(R"("code":"draining")"));
  const Outcome outcome = kubelet.finish();
  EXPECT_EQ(outcome.code, 143) << outcome.err;
  EXPECT_LT(Clock::now() - deleted, kubelet.pod().grace);
}

TEST(Manifests, GiveMoreTimeThanADrainTakes) {
  const Pod pod = read_pod();
  const DrainTimes drain = read_drain_times();
  EXPECT_EQ(drain.delay + drain.replies, std::chrono::seconds(65));
  EXPECT_GE(pod.grace, drain.delay + drain.replies + std::chrono::seconds(10));
  const std::string grace = std::to_string(pod.grace.count());
  EXPECT_THAT(deploy_file("ropewalk.service"), HasSubstr("\nTimeoutStopSec=" + grace + "\n"));
  EXPECT_THAT(deploy_file("compose.yaml"), HasSubstr("\n  stop_grace_period: " + grace + "s\n"));
  EXPECT_THAT(deploy_file("Containerfile"), HasSubstr("stop -t " + grace));
}

TEST(Manifests, AgreeOnThePort) {
  const std::string port = std::to_string(read_pod().port);
  EXPECT_THAT(deploy_file("Containerfile"), HasSubstr("EXPOSE " + port));
  for (const char* file : {"nginx.conf", "haproxy.cfg", "monitoring/prometheus.yml"})
    EXPECT_THAT(deploy_file(file), HasSubstr("ropewalk-2:" + port)) << file;
  EXPECT_THAT(deploy_file("k8s/inferencepool.yaml"), HasSubstr("number: " + port));
}

}  // namespace
}  // namespace ropewalk::test
