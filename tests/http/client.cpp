#include "tests/http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace ropewalk::test {
namespace {

using Clock = std::chrono::steady_clock;

void wait(int descriptor, short events) {
  const auto until = Clock::now() + kPatience;
  for (;;) {
    pollfd poll_for{descriptor, events, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) throw std::runtime_error("client: nothing happened");
    const int ready = poll(&poll_for, 1, static_cast<int>(left.count()));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) throw std::runtime_error("client: poll failed");
  }
}

int open_socket(const std::string& address, int receive_buffer) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (address.starts_with("unix:")) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, address.c_str() + 5, sizeof to.sun_path - 1);
    std::memcpy(&storage, &to, size = sizeof to);
  } else if (address.starts_with('[')) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    inet_pton(AF_INET6, address.substr(1, address.find(']') - 1).c_str(), &to.sin6_addr);
    std::memcpy(&storage, &to, size = sizeof to);
  } else {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    inet_pton(AF_INET, address.substr(0, address.find(':')).c_str(), &to.sin_addr);
    std::memcpy(&storage, &to, size = sizeof to);
  }
  const int descriptor = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  if (connect(descriptor, reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    ::close(descriptor);
    throw std::runtime_error("client: cannot connect to " + address);
  }
  return descriptor;
}

}  // namespace

std::string Answer::header(std::string_view name) const {
  std::string found;
  for (const auto& [key, value] : headers)
    if (key == name) found += (found.empty() ? "" : "|") + value;
  return found;
}

Client::Client(const std::string& address, int receive_buffer)
    : descriptor_(open_socket(address, receive_buffer)) {}

Client::Client(Client&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), buffer_(std::move(other.buffer_)) {}

Client::~Client() { close(); }

void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) {
      wait(descriptor_, POLLOUT);
    } else if (sent < 0) {
      return;
    } else {
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
}

bool Client::fill() {
  wait(descriptor_, POLLIN);
  char bytes[16384];
  const ssize_t got = recv(descriptor_, bytes, sizeof bytes, 0);
  was_reset_ = got < 0;
  if (got <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(got));
  return true;
}

std::optional<std::string> Client::take_line() {
  size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos)
    if (!fill()) return std::nullopt;
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

Answer Client::read_head() {
  Answer answer;
  const std::optional<std::string> first = take_line();
  if (!first) return answer;
  if (!first->starts_with("HTTP/1.1 ")) throw std::runtime_error("client: found " + *first);
  answer.status = std::stoi(first->substr(9, 3));
  for (;;) {
    const std::optional<std::string> line = take_line();
    if (!line) return {};
    if (line->empty()) return answer;
    const size_t colon = line->find(':');
    if (colon == std::string::npos) throw std::runtime_error("client: found header " + *line);
    std::string name = line->substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    // The space is usual, but no law: chromedriver has none.
    const size_t value = std::min(line->find_first_not_of(' ', colon + 1), line->size());
    answer.headers.emplace_back(name, line->substr(value));
  }
}

bool Client::read_chunk(std::string& body) {
  const std::optional<std::string> size = take_line();
  if (!size) throw std::runtime_error("client: the stream was cut");
  const size_t bytes = std::stoul(*size, nullptr, 16);
  while (buffer_.size() < bytes + 2)
    if (!fill()) throw std::runtime_error("client: the stream was cut");
  body += buffer_.substr(0, bytes);
  if (buffer_.substr(bytes, 2) != "\r\n") throw std::runtime_error("client: bad chunk");
  buffer_.erase(0, bytes + 2);
  return bytes > 0;
}

Answer Client::read(bool head_only) {
  Answer answer = read_head();
  if (answer.status == 0) return answer;
  if (head_only || answer.status == 204 || answer.status == 100) {
    answer.whole = true;
  } else if (answer.header("transfer-encoding") == "chunked") {
    try {
      while (read_chunk(answer.body)) {
      }
      answer.whole = true;
    } catch (const std::runtime_error&) {
    }
  } else if (!answer.header("content-length").empty()) {
    const size_t length = std::stoul(answer.header("content-length"));
    while (buffer_.size() < length && fill()) {
    }
    answer.whole = buffer_.size() >= length;
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
  } else {
    while (fill()) {
    }
    answer.whole = !was_reset_;
    answer.body = std::exchange(buffer_, {});
  }
  return answer;
}

Answer Client::ask(std::string_view bytes) {
  send(bytes);
  return read();
}

std::string Client::read_all() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

End Client::wait_for_end(std::chrono::milliseconds patience) {
  const auto until = Clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    pollfd poll_for{descriptor_, POLLIN, 0};
    if (left.count() <= 0 || poll(&poll_for, 1, static_cast<int>(left.count())) == 0)
      return End::open;
    if (!fill()) return was_reset_ ? End::reset : End::closed;
    buffer_.clear();
  }
}

void Client::close_sending() { shutdown(descriptor_, SHUT_WR); }

void Client::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void Client::reset() {
  const linger at_once{1, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

}  // namespace ropewalk::test
