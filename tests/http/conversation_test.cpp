// The protocol from memory: however the bytes are cut, the answers are the same.
#include "core/http/conversation.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/http/malformed.h"

namespace ropewalk::test {
namespace {

using namespace http;

class Memory {
 public:
  Memory()
      : service_{.limits = {},
                 .router = Router({{"GET", "/probe", RunOn::io_thread, Accepts::anything,
                                    [](const Request&, const std::shared_ptr<Reply>& reply) {
                                      reply->send({.body = "ok"});
                                    }},
                                   {"POST", "/echo", RunOn::io_thread, Accepts::anything,
                                    [](Request request, const std::shared_ptr<Reply>& reply) {
                                      reply->send({.body = std::move(request.body)});
                                    }}}),
                 .hooks = {},
                 .run_on_worker = {},
                 .make_id = [] { return std::string("id"); },
                 .date = [] { return std::string("now"); }},
        conversation_(service_, "memory", [] {}) {}

  void send(std::string_view bytes) {
    conversation_.receive(bytes);
    while (!conversation_.output().empty()) {
      answered_ += conversation_.output()[0];
      conversation_.consume(1);
    }
  }
  const std::string& answered() const { return answered_; }
  Conversation::Phase phase() const { return conversation_.phase(); }
  const Service& service() const { return service_; }

 private:
  Service service_;
  Conversation conversation_;
  std::string answered_;
};

TEST(Conversation, AnswersAreToTheByte) {
  Memory memory;
  memory.send("GET /probe HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(memory.answered(),
            "HTTP/1.1 200 OK\r\nX-Request-Id: id\r\nDate: now\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(memory.phase(), Conversation::Phase::idle);
}

TEST(Conversation, AreTheSameHoweverTheBytesAreCut) {
  const std::string requests =
      "\r\nPOST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;a=\"b\"\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n"
      "GET /probe HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX-Request-Id: my\r\n\r\nabc"
      "DELETE /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  Memory whole;
  whole.send(requests);
  EXPECT_EQ(whole.phase(), Conversation::Phase::closing);
  EXPECT_NE(whole.answered().find("hello!"), std::string::npos);
  for (size_t cut = 1; cut < requests.size(); ++cut) {
    Memory two;
    two.send(requests.substr(0, cut));
    two.send(requests.substr(cut));
    ASSERT_EQ(two.answered(), whole.answered()) << "cut at " << cut;
  }
  Memory bytes;
  for (const char byte : requests) bytes.send({&byte, 1});
  EXPECT_EQ(bytes.answered(), whole.answered());
}

TEST(Conversation, RefusesTheMalformedHoweverItIsCut) {
  for (const Malformed& request : malformed_requests()) {
    SCOPED_TRACE(request.name);
    const std::string expected = "HTTP/1.1 " + std::to_string(request.status) + " ";
    const size_t step = request.bytes.size() > 1000 ? request.bytes.size() / 9 : 1;
    for (size_t cut = 0; cut < request.bytes.size(); cut += step) {
      Memory memory;
      memory.send(request.bytes.substr(0, cut));
      memory.send(request.bytes.substr(cut));
      ASSERT_EQ(memory.answered().substr(0, expected.size()), expected) << "cut at " << cut;
      ASSERT_EQ(memory.phase(), Conversation::Phase::closing);
      ASSERT_EQ(memory.service().bodies, 0u);
      ASSERT_EQ(memory.service().answering, 0u);
    }
  }
}

}  // namespace
}  // namespace ropewalk::test
