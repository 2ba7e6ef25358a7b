// Addresses: which are accepted, reported and refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>

#include "tests/error_of.h"
#include "tests/files.h"
#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

using ::testing::MatchesRegex;
using ::testing::StartsWith;

auto listening(std::vector<std::string> addresses) {
  return [addresses](http::Settings& settings, http::Hooks&) { settings.listen = addresses; };
}

TEST(HttpListen, EveryFamilyAndSeveralAtOnce) {
  const TemporaryFolder folder;
  const std::string local = "unix:" + (folder.path() / "socket").string();
  TestServer server(listening({"127.0.0.1:0", "[::1]:0", "[::]:0", local}));
  const std::vector<std::string>& addresses = server.server->addresses();
  ASSERT_EQ(addresses.size(), 4u);
  EXPECT_THAT(addresses[0], MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  EXPECT_THAT(addresses[1], MatchesRegex("\\[::1\\]:[1-9][0-9]*"));
  EXPECT_THAT(addresses[2], MatchesRegex("\\[::\\]:[1-9][0-9]*"));
  EXPECT_EQ(addresses[3], local);
  const auto peer_of = [&](const std::string& address) {
    Client client(address);
    EXPECT_EQ(client.ask(get("/probe")).body, "ok") << address;
    return server.records.take().value().peer;
  };
  EXPECT_THAT(peer_of(addresses[0]), StartsWith("127.0.0.1:"));
  EXPECT_THAT(peer_of(addresses[1]), StartsWith("[::1]:"));
  EXPECT_EQ(peer_of(local), "unix");
  const std::string port = addresses[2].substr(addresses[2].rfind(':'));
  EXPECT_THAT(peer_of("[::1]" + port), StartsWith("[::1]:"));
  EXPECT_THAT(peer_of("127.0.0.1" + port), StartsWith("127.0.0.1:"));
  server.server->stop();
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "socket"));
}

TEST(HttpListen, AnAddressIsFreeAgainAtOnce) {
  std::string address;
  {
    TestServer server;
    address = server.address();
    Client client = server.connect();
    EXPECT_EQ(client.ask(get("/probe")).status, 200);
    server.server->stop();  // closes first, so that the connection stays in TIME-WAIT
    EXPECT_EQ(client.wait_for_end(), End::closed);
  }
  TestServer again(listening({address}));
  EXPECT_EQ(again.connect().ask(get("/probe")).status, 200);
}

TEST(HttpListen, ASocketThatWasLeftIsReplacedAndAFileIsNot) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "socket").string();
  {
    TestServer first(listening({"unix:" + path}));
    EXPECT_EQ(error_of([&] { TestServer second(listening({"unix:" + path})); }),
              "2 listen address unix:" + path +
                  ": is in use. Stop the other program or choose another port.");
    std::filesystem::create_hard_link(path, path + ".left");
  }
  std::filesystem::rename(path + ".left", path);
  TestServer third(listening({"unix:" + path}));
  EXPECT_EQ(third.connect().ask(get("/probe")).status, 200);
  write_file(path + "-file", "precious");
  EXPECT_THAT(error_of([&] { TestServer fourth(listening({"unix:" + path + "-file"})); }),
              StartsWith("2 listen address unix:"));
  EXPECT_EQ(read_file(path + "-file"), "precious");
}

TEST(HttpListen, SaysWhatItRefuses) {
  TestServer server;
  EXPECT_EQ(error_of([&] { TestServer second(listening({server.address()})); }),
            "2 listen address " + server.address() +
                ": is in use. Stop the other program or choose another port.");
  for (const char* address : {"", "8000", ":8000", "localhost:8000", "127.0.0.1", "127.0.0.1:",
                              "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http", "::1:8000",
                              "[127.0.0.1]:8000", "[::1]", "[::1:8000", "[]:8000", "256.0.0.1:1"}) {
    EXPECT_EQ(
        error_of([&] { TestServer second(listening({address})); }),
        "2 listen address " + std::string(address) +
            ": is not an address. Expected ADDRESS:PORT such as 127.0.0.1:8000 or [::1]:8000, or "
            "unix:PATH.");
  }
  EXPECT_THAT(error_of([&] { TestServer second(listening({"unix:" + std::string(200, 'x')})); }),
              StartsWith("2 listen address unix:xxx"));
}

// Out of descriptors the server waits rather than spins or ends.
TEST(HttpListen, SurvivesRunningOutOfDescriptors) {
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "the sanitizer opens a pipe to look at an object's type";
#endif
#endif
  TestServer server;
  Client first = server.connect();
  // accept4() takes a descriptor before it knows whether anybody waits. The second answer comes
  // after the last such call, the first may come before it.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(first.ask(get("/probe")).status, 200);
  const int spare = dup(0);  // the lowest free descriptor
  ASSERT_GE(spare, 0);
  close(spare);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit one_more = before;
  one_more.rlim_cur = static_cast<rlim_t>(spare) + 1;  // for the client, and none for the server
  setrlimit(RLIMIT_NOFILE, &one_more);
  Client third = server.connect();
  third.send(get("/probe"));
  EXPECT_EQ(third.wait_for_end(std::chrono::milliseconds(50)), End::open);
  EXPECT_EQ(first.ask(get("/probe")).status, 200);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(third.read().status, 200);
}

}  // namespace
}  // namespace ropewalk::test
