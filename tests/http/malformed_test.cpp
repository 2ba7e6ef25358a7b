// A malformed request is refused, its connection ends, and the bytes after it are never a request.
#include "tests/http/malformed.h"

#include <gtest/gtest.h>

#include "tests/http/test_server.h"

namespace ropewalk::test {
namespace {

TEST(HttpMalformed, IsRefusedAndItsConnectionEnds) {
  TestServer server;
  for (const Malformed& request : malformed_requests()) {
    SCOPED_TRACE(request.name);
    Client client = server.connect();
    client.send(request.bytes);
    // The second request of one that smuggles.
    client.send("GET /hello?smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    const Answer answer = client.read();
    EXPECT_EQ(answer.status, request.status) << answer.body;
    EXPECT_EQ(answer.header("connection"), "close");
    EXPECT_TRUE(answer.whole);
    EXPECT_EQ(answer.header("x-request-id").size(), 32u);
    EXPECT_EQ(client.read_all(), "");
    EXPECT_EQ(server.records.take().value().status, request.status);
  }
  EXPECT_EQ(server.connect().ask(get("/probe")).status, 200);
  EXPECT_EQ(server.records.take().value().path, "/probe") << "the only one that was served";
}

TEST(HttpMalformed, IsNamed) {
  TestServer server;
  const auto refusal = [&](const std::string& bytes) { return server.connect().ask(bytes).body; };
  EXPECT_EQ(refusal("GET /probe HTTP/1.1\nHost: h\n\n"),
            "bad_request: request head: found a line feed without a carriage return");
  EXPECT_EQ(refusal("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\na"),
            "bad_request: Content-Length: found \"1, 1\", expected a number");
  EXPECT_EQ(refusal(get("/" + std::string(9000, 'a'))),
            "url_too_long: request line: longer than 8192 bytes");
  const std::string quoted =
      refusal("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + std::string(9000, 'x') +
              "\r\n\r\n");
  EXPECT_LT(quoted.size(), 160u) << "a message must not repeat all of a client's value";
}

// Unusual but valid requests are accepted.
TEST(HttpMalformed, LooksAlikeAndIsNot) {
  TestServer server;
  const std::vector<std::pair<const char*, std::string>> requests = {
      {"an empty line in front", "\r\n" + get("/probe")},
      {"an absolute target", "GET http://other/probe HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"an absolute target in capitals", "GET HTTP://h:1/probe HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"an escaped target", "GET /%70robe HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"no space behind the colon", "GET /probe HTTP/1.1\r\nHost:h\r\n\r\n"},
      {"a tab behind the colon", "GET /probe HTTP/1.1\r\nHost:\th\t \r\n\r\n"},
      {"an empty value", "GET /probe HTTP/1.1\r\nHost: h\r\nX-A:\r\n\r\n"},
      {"an empty host", "GET /probe HTTP/1.1\r\nHost:\r\n\r\n"},
      {"bytes above ASCII in a value", "GET /probe HTTP/1.1\r\nHost: h\r\nX-A: \xff\r\n\r\n"},
      {"64 headers", "GET /probe HTTP/1.1\r\nHost: h\r\n" + repeat("X-A: b\r\n", 63) + "\r\n"},
      {"capitals", "POST /echo HTTP/1.1\r\nHOST: h\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n"},
      {"zeros before a length", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 000\r\n\r\n"},
      {"zeros before a chunk size",
       "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
       "0001\r\na\r\n000\r\nX-Trailer: 1\r\n\r\n"},
  };
  for (const auto& [name, bytes] : requests) {
    SCOPED_TRACE(name);
    Client client = server.connect();
    EXPECT_EQ(client.ask(bytes).status, 200);
    EXPECT_EQ(client.ask(get("/probe")).status, 200) << "the connection lives on";
  }
}

}  // namespace
}  // namespace ropewalk::test
