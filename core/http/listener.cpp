#include "core/http/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/base/error.h"

namespace ropewalk::http {
namespace {

constexpr int kBacklog = 1024;
// Unsent bytes that the kernel buffers beyond the peer's window. It is small, so that a slow reader
// is noticed soon.
constexpr int kUnsentBytes = 128 << 10;

[[noreturn]] void fail(const std::string& address, const std::string& what,
                       std::string_view advice) {
  throw Error(ExitCode::usage, "listen address " + address, what, advice);
}

[[noreturn]] void fail_by_errno(const std::string& address) {
  const int error = errno;
  const bool used = error == EADDRINUSE;
  fail(address, used ? "is in use" : std::generic_category().message(error),
       used ? "Stop the other program or choose another port" : "");
}

[[noreturn]] void fail_by_form(const std::string& address) {
  fail(address, "is not an address",
       "Expected ADDRESS:PORT such as 127.0.0.1:8000 or [::1]:8000, or unix:PATH");
}

void set(int descriptor, int level, int option, int value) {
  setsockopt(descriptor, level, option, &value, sizeof value);
}

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// "192.0.2.1" or "[2001:db8::1]". An IPv4 peer of an IPv6 socket is written as IPv4.
std::pair<std::string, std::string> host_and_port(Endpoint& endpoint) {
  char host[NI_MAXHOST] = {}, port[NI_MAXSERV] = {};
  if (getnameinfo(endpoint.get(), endpoint.size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return {"unknown", "0"};
  std::string name = host;
  if (name.starts_with("::ffff:") && name.find('.') != std::string::npos)
    return {name.substr(7), port};
  if (name.find(':') != std::string::npos) name = "[" + name + "]";
  return {name, port};
}

Endpoint inet_endpoint(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) fail_by_form(address);
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  const bool six = host.front() == '[' && host.back() == ']';
  if (six) host = host.substr(1, host.size() - 2);
  if (six != (host.find(':') != std::string::npos)) fail_by_form(address);
  if (port.empty() || port.size() > 5 ||
      port.find_first_not_of("0123456789") != std::string::npos || std::stoul(port) > 65535)
    fail_by_form(address);
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = six ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) fail_by_form(address);
  Endpoint endpoint;
  endpoint.size = found->ai_addrlen;
  std::memcpy(&endpoint.storage, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return endpoint;
}

Endpoint unix_endpoint(const std::string& address, const std::string& file) {
  sockaddr_un path{};
  path.sun_family = AF_UNIX;
  if (file.empty() || file.size() >= sizeof path.sun_path)
    fail(address, "has a path of " + std::to_string(file.size()) + " bytes",
         "Expected 1 to " + std::to_string(sizeof path.sun_path - 1));
  std::memcpy(path.sun_path, file.data(), file.size());
  Endpoint endpoint;
  endpoint.size = sizeof path;
  std::memcpy(&endpoint.storage, &path, sizeof path);
  return endpoint;
}

// Removes a socket file without a listener, which a killed server has left.
void remove_stale(Endpoint& endpoint, const std::string& file) {
  struct stat facts {};
  if (lstat(file.c_str(), &facts) != 0 || !S_ISSOCK(facts.st_mode)) return;
  const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool stale = probe.valid() && connect(probe.get(), endpoint.get(), endpoint.size) != 0 &&
                     errno == ECONNREFUSED;
  if (stale) unlink(file.c_str());
}

}  // namespace

Listener::Listener(const std::string& address) : address_(address) {
  constexpr std::string_view kUnix = "unix:";
  const bool local = address.starts_with(kUnix);
  const std::string file = local ? address.substr(kUnix.size()) : "";
  Endpoint endpoint = local ? unix_endpoint(address, file) : inet_endpoint(address);
  if (local) remove_stale(endpoint, file);
  const int family = endpoint.storage.ss_family;
  descriptor_ = Descriptor(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!descriptor_.valid()) fail_by_errno(address);
  const int fd = descriptor_.get();
  if (!local) set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (family == AF_INET6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (bind(fd, endpoint.get(), endpoint.size) != 0 || listen(fd, kBacklog) != 0)
    fail_by_errno(address);
  file_ = file;
  if (local) return;
  endpoint.size = sizeof endpoint.storage;
  getsockname(fd, endpoint.get(), &endpoint.size);
  const auto [host, port] = host_and_port(endpoint);
  address_ = host + ":" + port;
}

Listener::Listener(Listener&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      address_(std::move(other.address_)),
      file_(std::exchange(other.file_, {})) {}

Listener::~Listener() { close(); }

void Listener::close() {
  descriptor_.close();
  if (!file_.empty()) unlink(std::exchange(file_, {}).c_str());
}

Accepted accept_one(int listener, const Limits& limits) {
  Accepted accepted;
  Endpoint endpoint;
  accepted.descriptor =
      accept4(listener, endpoint.get(), &endpoint.size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (accepted.descriptor < 0) {
    const bool nobody = errno == EAGAIN || errno == EWOULDBLOCK;
    accepted.error = nobody ? 0 : errno;
    return accepted;
  }
  accepted.family = endpoint.storage.ss_family;
  if (accepted.family == AF_UNIX) {
    accepted.peer = accepted.address = "unix";
    return accepted;
  }
  const auto [host, port] = host_and_port(endpoint);
  accepted.address = host;
  accepted.peer = host + ":" + port;
  // A peer that vanished silently is noticed by keep-alive probes on an idle connection, and by
  // TCP_USER_TIMEOUT during a send.
  constexpr int kProbeSeconds = 10, kProbes = 3;
  set(accepted.descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(accepted.descriptor, IPPROTO_TCP, TCP_KEEPIDLE, kProbeSeconds);
  set(accepted.descriptor, IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds);
  set(accepted.descriptor, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(accepted.descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT,
      static_cast<int>(limits.write_time.count()));
  set(accepted.descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set(accepted.descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytes);
  return accepted;
}

}  // namespace ropewalk::http
