// client.h — an HTTP client on a plain socket that shares no code with the server, and sends and
// reads exactly what a test says.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/patience.h"

namespace ropewalk::test {

struct Answer {
  int status = 0;  // 0: none came before the connection ended
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  bool whole = false;  // its end was read as the framing has it

  std::string header(std::string_view name) const;  // "" where there is none, "a|b" for two
};

enum class End { open, closed, reset };

class Client {
 public:
  // `address` as Server::addresses() has it. A receive buffer of 0 bytes is the system's choice.
  explicit Client(const std::string& address, int receive_buffer = 0);
  ~Client();
  Client(Client&& other) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes);  // what a server that has gone does not take is dropped
  // The next answer; a HEAD's has no body. Interim answers (100) are answers too.
  Answer read(bool head_only = false);
  Answer ask(std::string_view bytes);  // send() and read()
  // Decoded bytes of a chunked body; false at its end or the connection's. After read_head().
  Answer read_head();
  bool read_chunk(std::string& body);
  // Raw bytes of the connection up to its end.
  std::string read_all();
  // Reads and drops until the connection ends; `open` where it does not within `patience`.
  End wait_for_end(std::chrono::milliseconds patience = kPatience);

  void close_sending();  // half closed: FIN
  void close();          // FIN, or reset where bytes are unread
  void reset();          // RST
  int descriptor() const { return descriptor_; }

 private:
  bool fill();  // more bytes into buffer_; false at the end
  std::optional<std::string> take_line();

  int descriptor_ = -1;
  std::string buffer_;
  bool was_reset_ = false;
};

}  // namespace ropewalk::test
