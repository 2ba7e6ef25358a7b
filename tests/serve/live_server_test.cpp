// The whole server in one process, from sockets to the CPU backend: what its threads say to each
// other. The tsan preset runs it; what it answers is compared in tests/apps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/json/json.h"
#include "core/serve/service.h"
#include "tests/http/client.h"

namespace ropewalk::test {
namespace {

using namespace serve;
using testing::HasSubstr;

Config live_config() {
  return parse_config("model: \"" RW_SOURCE_DIR
                      "/models/airophin-mini\"\n"
                      "backend: cpu\n"
                      "prompt: {format: raw}\n"
                      "sampling: [{temperature: 1.5}]\n",
                      {.file = "live.yaml", .overrides = {}});
}

RuntimeSettings live_settings() {
  RuntimeSettings settings;
  settings.config = live_config();
  settings.max_sequences = settings.max_wanted = 4;
  settings.cache_pages = 12;  // of 64 tokens: replies are preempted
  return settings;
}

ScheduleSettings live_schedule() {
  ScheduleSettings settings;
  settings.sampling_threads = 2;
  return settings;
}

// As `ropewalk serve` puts it together, without signals and programs.
class LiveServer {
 public:
  LiveServer()
      : engine_(live_settings(), TextNeed::required),
        scheduler_(serve_engine(engine_), live_schedule()),
        service_({.config = live_config(),
                  .keys = Keys({}, ""),
                  .version = "1",
                  .log = [this](std::string_view) { ++lines; }}),
        http_({.listen = {"127.0.0.1:0"}, .limits = {}}, service_.routes(), service_.hooks()) {
    service_.watch(http_);
    scheduler_.start();
    service_.serve({.model = {.config = service_.config(),
                              .text = engine_.text(),
                              .context_length = engine_.runtime().context_length(),
                              .vocab = engine_.sampled_vocab(),
                              .name = "mini",
                              .fingerprint = "f00d",
                              .batch_invariant = true,
                              .created = 7,
                              .samplers = {"temperature"}},
                    .scheduler = scheduler_,
                    .manual = {},
                    .model_folder = "mini",
                    .slots = 4});
  }
  ~LiveServer() { http_.stop(); }

  Client connect() const { return Client(http_.addresses()[0]); }
  http::Ended drain() {
    service_.begin_drain();
    http_.drain(kPatience);
    return http_.wait();
  }
  bool is_idle() { return scheduler_.wait_idle(kPatience); }

  std::atomic<int> lines = 0;  // of the access log

 private:
  Engine engine_;
  Scheduler scheduler_;
  Service service_;
  http::Server http_;
};

std::string post(const std::string& path, const Json& body) {
  const std::string text = body.dump();
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
         "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
}

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

Json asked(int which, bool stream) {
  return {{"prompt", std::string(static_cast<size_t>(20 + 60 * (which % 3)), 'a')},
          {"max_tokens", 60},
          {"seed", which},
          {"n", 1 + which % 2},
          {"logprobs", 1},
          {"ignore_eos", true},
          {"stream", stream}};
}

TEST(LiveServer, ClientsOfManyThreadsComeReadAndGo) {
  LiveServer server;
  std::atomic<int> answered = 0, over = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 4; ++c)
    clients.emplace_back([&, c] {
      for (int i = 0; i < 4; ++i, ++over) {
        Client client = server.connect();
        if (i == 3) {  // leaves in the midst of its reply
          client.send(post("/v1/completions", asked(c, true)));
          std::string begun;
          client.read_head();
          client.read_chunk(begun);
          client.reset();
          continue;
        }
        const Answer answer = client.ask(post("/v1/completions", asked(4 * c + i, i % 2 == 0)));
        answered += answer.whole && answer.status == 200;
      }
    });
  Client probe = server.connect();
  while (over < 16) {
    EXPECT_EQ(probe.ask(get("/health")).status, 200);
    EXPECT_THAT(probe.ask(get("/metrics")).body, HasSubstr("vllm:num_requests_running"));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 12);
  EXPECT_TRUE(server.is_idle());
  EXPECT_THAT(probe.ask(get("/metrics")).body, HasSubstr("vllm:num_requests_running{"
                                                         "model_name=\"airophin-mini\","
                                                         "engine=\"0\"} 0\n"));
}

TEST(LiveServer, ADrainLetsAReplyEnd) {
  LiveServer server;
  Client client = server.connect();
  client.send(post("/v1/completions", asked(1, true)));
  EXPECT_EQ(client.read_head().status, 200);
  std::thread stopping([&] { EXPECT_EQ(server.drain(), http::Ended::finished); });
  std::string body;
  while (client.read_chunk(body)) {
  }
  EXPECT_THAT(body, testing::EndsWith("data: [DONE]\n\n"));
  stopping.join();
  EXPECT_EQ(server.lines, 1);
}

}  // namespace
}  // namespace ropewalk::test
