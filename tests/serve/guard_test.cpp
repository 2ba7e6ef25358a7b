// Who may ask, and what is written down of it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/serve/guard/cors.h"
#include "core/serve/guard/gate.h"
#include "core/serve/guard/journal.h"
#include "core/serve/guard/metrics_text.h"
#include "tests/error_of.h"
#include "tests/files.h"
#include "tests/serve/mini_model.h"

namespace ropewalk::test {
namespace {

using namespace serve;
using testing::HasSubstr;
using testing::Not;

http::Request request(const std::string& path, std::vector<http::Header> headers) {
  http::Request made;
  made.method = "GET";
  made.path = path;
  made.headers = std::move(headers);
  return made;
}

TEST(Keys, AreReadFromFileAndEnvironment) {
  const std::vector<Key> keys = parse_keys("# users\nann: secret-one \n\nbob:secret-two\n", "f");
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ(keys[0].name, "ann");
  // sha256sum of "secret-one"
  EXPECT_EQ(keys[0].digest, "ea77193cc4e6f18656f3130e296203880c4b9b3772afc855211b82fdd46e9185");
  EXPECT_EQ(parse_key_list("a:secret-one, secret-two")[1].name, "env-2");
  const std::string error = error_of([] { parse_keys("x\nlonesecretkey\n", "f"); });
  EXPECT_THAT(error, HasSubstr("f:1"));
  EXPECT_THAT(error_of([] { parse_keys("a:secretish\nlonesecretkey\n", "f"); }),
              testing::AllOf(HasSubstr("2 f:2: "), Not(HasSubstr("lonesecret"))));
}

// The SHA-256 of both begins with 67c6fc51.
TEST(Keys, AreComparedToTheLastDigit) {
  const Keys keys("", "a:secret-012841");
  EXPECT_EQ(keys.find("secret-012841"), 0u);
  EXPECT_EQ(keys.find("secret-094329"), std::nullopt);
}

TEST(Keys, FileIsItsOwnersAloneAndIsReadAgain) {
  const TemporaryFolder folder;
  const std::string file = folder.write("keys", "ann:secret-one\n");
  chmod(file.c_str(), 0644);
  EXPECT_THAT(error_of([&] { Keys(file, ""); }), HasSubstr("others than its owner"));
  chmod(file.c_str(), 0600);
  Keys keys(file, "env:secret-env");
  EXPECT_EQ(keys.name(keys.find("secret-one").value()), "ann");
  EXPECT_EQ(keys.name(keys.find("secret-env").value()), "env");
  EXPECT_FALSE(keys.find("secret-two"));
  EXPECT_FALSE(keys.find(""));
  write_file(file, "bob:secret-two\n");
  const timespec later[2] = {{.tv_sec = 2000000000, .tv_nsec = 0},
                             {.tv_sec = 2000000000, .tv_nsec = 0}};
  utimensat(AT_FDCWD, file.c_str(), later, 0);
  keys.refresh();
  EXPECT_FALSE(keys.find("secret-one"));
  EXPECT_EQ(keys.name(keys.find("secret-two").value()), "bob");
  // Asked for, also where its time has not changed; what is wrong leaves the keys as they were.
  write_file(file, "eve:secret-three\n");
  utimensat(AT_FDCWD, file.c_str(), later, 0);
  keys.refresh();
  EXPECT_FALSE(keys.find("secret-three"));
  keys.reload();
  EXPECT_TRUE(keys.find("secret-three"));
  write_file(file, "eve\n");
  keys.reload();
  EXPECT_TRUE(keys.find("secret-three"));
}

// As `LoadCredential=` and `DynamicUser=` of systemd 254 and later make it.
TEST(Keys, FileMayBeACredentialOfSystemd) {
  const TemporaryFolder folder;
  const std::string file = folder.write("keys", "ann:secret-one\n");
  chmod(file.c_str(), 0440);
  EXPECT_THAT(error_of([&] { Keys(file, ""); }), HasSubstr("others than its owner"));
  setenv("CREDENTIALS_DIRECTORY", folder.path().c_str(), 1);
  EXPECT_EQ(Keys(file, "").count(), 1u);
  chmod(file.c_str(), 0444);
  EXPECT_THAT(error_of([&] { Keys(file, ""); }), HasSubstr("others than its owner"));
  unsetenv("CREDENTIALS_DIRECTORY");
}

TEST(Gate, WithKeysOnlyProbesPassWithoutOne) {
  const ServeConfig serve;
  Gate gate(serve, Keys("", "ann:secret-one"));
  EXPECT_EQ(refusal_of([&] { gate.pass(request("/v1/models", {})); }), "401 invalid_api_key ");
  EXPECT_EQ(refusal_of([&] {
              gate.pass(request("/v1/models", {{"authorization", "Bearer secret-two"}}));
            }),
            "401 invalid_api_key ");
  EXPECT_EQ(gate.pass(request("/v1/models", {{"authorization", "bearer secret-one"}})), "ann");
  EXPECT_EQ(gate.pass(request("/v1/models", {{"x-api-key", "secret-one"}})), "ann");
  EXPECT_EQ(gate.caller(request("/", {{"x-api-key", "secret-one"}})).number, 1u);
  EXPECT_EQ(gate.caller(request("/", {})).number, 0u);
  for (const char* path : {"/health", "/ready", "/ping", "/live", "/", "/metrics"})
    EXPECT_EQ(gate.pass(request(path, {})), "");
}

// Who has had how much stays with a key when its line moves.
TEST(Gate, AKeysNumberDoesNotDependOnItsPlaceInTheFile) {
  const TemporaryFolder folder;
  const std::string file = folder.write("keys", "ann:secret-one\nbob:secret-two\n");
  chmod(file.c_str(), 0600);
  const ServeConfig serve;
  Gate gate(serve, Keys(file, ""));
  const auto number = [&](const char* key) {
    return gate.caller(request("/", {{"x-api-key", key}})).number;
  };
  const uint32_t bob = number("secret-two"), ann = number("secret-one");
  EXPECT_NE(ann, bob);
  folder.write("keys", "eve:secret-six\nbob:secret-two\nann:secret-one\n");
  gate.reload_keys();
  EXPECT_EQ(number("secret-one"), ann);
  EXPECT_EQ(number("secret-two"), bob);
  EXPECT_NE(number("secret-six"), ann);
}

// "NAME: VALUE" a line, as tests read it.
std::string cors_text(const std::vector<std::string>& origins, const http::Request& asked) {
  std::string text;
  for (const http::Header& header : cors_headers(origins, asked))
    text += header.name + ": " + header.value + "\n";
  return text;
}

// The Fetch standard, "CORS protocol": https://fetch.spec.whatwg.org/#http-cors-protocol
TEST(Cors, AnOriginOfTheListMayReadAnswers) {
  const std::vector<std::string> origins = {"https://a.example", "http://b.lan:3000"};
  EXPECT_EQ(cors_text(origins, request("/v1/models", {{"origin", "http://b.lan:3000"}})),
            "Vary: Origin\n"
            "Access-Control-Allow-Origin: http://b.lan:3000\n"
            "Access-Control-Expose-Headers: X-Request-Id, X-Ropewalk-Ignored, X-Ropewalk-Seed, "
            "Retry-After\n");
  for (const char* other : {"http://b.lan", "https://b.lan:3000", "http://b.lan:3000.evil.example",
                            "HTTP://B.LAN:3000", "null", "*", ""})
    EXPECT_EQ(cors_text(origins, request("/v1/models", {{"origin", other}})), "Vary: Origin\n")
        << other;
  EXPECT_EQ(cors_text(origins, request("/v1/models", {})), "Vary: Origin\n");
  EXPECT_EQ(cors_text({}, request("/v1/models", {{"origin", "https://a.example"}})), "");
}

TEST(Cors, BeforeAPostItSaysWhatMayBeSent) {
  http::Request asked = request("/v1/completions",
                                {{"origin", "https://a.example"},
                                 {"access-control-request-method", "POST"},
                                 {"access-control-request-headers", "authorization,content-type"}});
  EXPECT_THAT(cors_text({"https://a.example"}, asked), Not(HasSubstr("Allow-Methods")));  // a GET
  asked.method = "OPTIONS";
  EXPECT_THAT(cors_text({"https://a.example"}, asked),
              HasSubstr("Access-Control-Allow-Methods: GET, POST\n"
                        "Access-Control-Max-Age: 600\n"
                        "Access-Control-Allow-Headers: authorization,content-type\n"));
  EXPECT_EQ(cors_text({"https://b.example"}, asked), "Vary: Origin\n");
}

TEST(Cors, WhatIsNoOriginIsRefused) {
  check_origins(std::vector<std::string>{"https://a.example", "http://[::1]:3000", "app://-"});
  for (const char* wrong : {"*", "null", "a.example", "https://", "https://a.example/",
                            "https://a.example/chat", "https://A.example", "://a", ""})
    EXPECT_THAT(error_of([&] { check_origins(std::vector<std::string>{wrong}); }),
                HasSubstr("serve.cors.origins: found "))
        << wrong;
}

// A page of another site can point its name at this machine, but not change the Host header.
TEST(Gate, WithoutKeysTheHostMustBeLocal) {
  ServeConfig serve;
  serve.hosts = {"my.lan"};
  Gate gate(serve, Keys("", ""));
  for (const char* host : {"localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]",
                           "LocalHost", "my.lan:80"})
    EXPECT_EQ(refusal_of([&] {
                gate.pass(request("/v1/models", {{"host", host}}));
              }),
              "taken")
        << host;
  for (const char* host : {"evil.example", "localhost.evil.example", "127.evil.example", ""})
    EXPECT_EQ(refusal_of([&] {
                gate.pass(request("/health", {{"host", host}}));
              }),
              "403 host_not_allowed ")
        << host;
  EXPECT_EQ(refusal_of([&] { gate.pass(request("/health", {})); }), "403 host_not_allowed ");
}

TEST(Gate, IsNeverOpenToStrangersByAccident) {
  ServeConfig serve;
  serve.listen = "0.0.0.0:8000";
  EXPECT_THAT(error_of([&] { check_exposure(serve, Keys("", "")); }),
              HasSubstr("2 serve.listen: 0.0.0.0:8000 can be reached from other machines"));
  check_exposure(serve, Keys("", "ann:secret-one"));
  serve.anonymous = true;
  check_exposure(serve, Keys("", ""));
  for (const char* listen : {"127.0.0.1:1", "[::1]:1", "unix:/tmp/x"}) {
    ServeConfig local;
    local.listen = listen;
    check_exposure(local, Keys("", ""));
  }
}

TEST(Journal, WritesALineWithoutTextOfTheClient) {
  std::string line;
  Journal journal([&](std::string_view text) { line = text; });
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  journal.open("id1", "ann", &trace);
  journal.note("id1", {.prompt_tokens = 5,
                       .cached_tokens = 2,
                       .new_tokens = 3,
                       .queued_ms = 1.26,
                       .finish = "stop"});
  const http::AccessRecord record{.id = "id1",
                                  .method = "POST",
                                  .path = "/v1/completions",
                                  .peer = "127.0.0.1:1",
                                  .status = 200,
                                  .outcome = http::Outcome::answered,
                                  .bytes_in = 10,
                                  .bytes_out = 20,
                                  .duration = std::chrono::microseconds(1500)};
  journal.access(record, {"/v1/completions"});
  const Json json = Json::parse(line);
  EXPECT_EQ(json["id"], "id1");
  EXPECT_EQ(json["key"], "ann");
  EXPECT_EQ(json["traceparent"], trace);
  EXPECT_EQ(json["prompt_tokens"], 5);
  EXPECT_EQ(json["queued_ms"], 1.3);
  EXPECT_EQ(json["ms"], 1.5);
  EXPECT_EQ(json["finish"], "stop");
  http::AccessRecord other = record;
  other.path = "/my secret path";
  other.status = 404;
  journal.access(other, {"/v1/completions"});
  EXPECT_THAT(line, Not(HasSubstr("secret")));
  EXPECT_THAT(line, Not(HasSubstr("prompt_tokens")));
  // A client that has left is not noted any more.
  journal.note("id1", {.prompt_tokens = 5});
  journal.access(record, {"/v1/completions"});
  EXPECT_THAT(line, Not(HasSubstr("prompt_tokens")));
  journal.note_ignored("id1", {"skew", "my private words"}, {});
  const Journal::Counts counts = journal.counts();
  EXPECT_EQ(counts.requests.at({"/v1/completions", 200}), 2u);
  EXPECT_EQ(counts.requests.at({"other", 404}), 1u);
  EXPECT_EQ(counts.ignored.at("skew"), 1u);
  EXPECT_EQ(counts.ignored.at("other"), 1u);
}

TEST(Journal, NamesAFieldWithoutEffectOnceAnHourForEachKey) {
  std::vector<std::string> lines;
  Journal journal([&](std::string_view text) { lines.emplace_back(text); });
  const std::string malformed = "00-0AF7-01";
  journal.open("a", "ann", &malformed);
  journal.open("b", "bob", nullptr);
  const Journal::Time begin{std::chrono::hours(100)};
  journal.note_ignored("a", {"skew", "temprature"}, begin);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr(R"("id":"a","ignored_field":"skew","key":"ann"})"
                                  "\n"));
  EXPECT_THAT(lines[0], HasSubstr(R"("ignored_field":"temprature","key":"ann"})"));
  journal.note_ignored("a", {"skew"}, begin + std::chrono::minutes(59));
  EXPECT_EQ(lines.size(), 1u);
  journal.note_ignored("b", {"skew"}, begin + std::chrono::minutes(59));
  EXPECT_EQ(lines.size(), 2u);
  journal.note_ignored("a", {"skew"}, begin + std::chrono::minutes(60));
  EXPECT_EQ(lines.size(), 3u);
  EXPECT_EQ(journal.counts().ignored.at("skew"), 4u);
  // However many names a client makes up.
  std::vector<std::string> names;
  for (int i = 0; i < 5000; ++i) names.push_back("x" + std::to_string(i));
  journal.note_ignored("a", names, begin + std::chrono::minutes(61));
  EXPECT_EQ(std::ranges::count(lines.back(), '\n'), 998);
  journal.access({.id = "a",
                  .method = "POST",
                  .path = "/",
                  .peer = "",
                  .status = 200,
                  .outcome = http::Outcome::answered,
                  .bytes_in = 0,
                  .bytes_out = 0,
                  .duration = {}},
                 {"/"});
  EXPECT_THAT(lines.back(), Not(HasSubstr("traceparent")));
}

TEST(MetricsText, HasTheNamesThatRoutersRead) {
  Metrics metrics;
  metrics.running = 2;
  metrics.waiting = 3;
  metrics.pages = 8;
  metrics.pages_used = 2;
  metrics.page_tokens = 256;
  metrics.finished = {4, 1, 5, 2, 6};  // stop, length, cancelled, deadline, failed
  metrics.first_token_seconds.add(0.03);
  metrics.first_token_seconds.add(0.5);
  Journal::Counts counts;
  counts.choices.add(3);
  const std::string text = metrics_text({.model_name = "a\"b", .version = "1"}, &metrics, counts);
  const std::string labels = R"({model_name="a\"b",engine="0")";
  for (const std::string& line :
       {"vllm:num_requests_running" + labels + "} 2\n",
        "vllm:num_requests_waiting" + labels + "} 3\n",
        "vllm:kv_cache_usage_perc" + labels + "} 0.25\n",
        "vllm:cache_config_info" + labels + R"(,block_size="256",num_gpu_blocks="8"} 1)" + "\n",
        "vllm:request_success_total" + labels + R"(,finished_reason="stop"} 4)" + "\n",
        "vllm:request_success_total" + labels + R"(,finished_reason="length"} 3)" + "\n",
        "vllm:request_success_total" + labels + R"(,finished_reason="abort"} 5)" + "\n",
        "vllm:request_success_total" + labels + R"(,finished_reason="error"} 6)" + "\n",
        "vllm:time_to_first_token_seconds_bucket" + labels + R"(,le="0.02"} 0)" + "\n",
        "vllm:time_to_first_token_seconds_bucket" + labels + R"(,le="0.04"} 1)" + "\n",
        "vllm:time_to_first_token_seconds_bucket" + labels + R"(,le="+Inf"} 2)" + "\n",
        "vllm:time_to_first_token_seconds_count" + labels + "} 2\n",
        "vllm:request_params_n_bucket" + labels + R"(,le="2"} 0)" + "\n",
        "vllm:request_params_n_bucket" + labels + R"(,le="5"} 1)" + "\n"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(metrics_text({.model_name = "m"}, nullptr, {}), Not(HasSubstr("vllm:")));
  EXPECT_THAT(metrics_text({.started = 1700000000}, nullptr, {}),
              HasSubstr("\nprocess_start_time_seconds 1700000000\n"));
}

TEST(ProcessUse, IsThatOfThisProcess) {
  const ProcessUse before = process_use();
  EXPECT_GT(before.resident_bytes, 1u << 20);
  const int file = open("/dev/null", O_RDONLY);
  EXPECT_EQ(process_use().open_files, before.open_files + 1);
  close(file);
  double sum = 0;
  while (process_use().cpu_seconds < before.cpu_seconds + 0.01) sum += 1;
  EXPECT_GT(sum, 0);
}

}  // namespace
}  // namespace ropewalk::test
