// listener.h — the sockets of the operating system: listening, accepting, naming the peer.
//
// Descriptors are non-blocking and closed on exec. The receiver of an accepted one closes it.
#pragma once

#include <string>

#include "core/base/descriptor.h"
#include "core/http/limits.h"

namespace ropewalk::http {

class Listener {
 public:
  // `address` as in Settings::listen. Throws Error (usage): malformed or not available.
  explicit Listener(const std::string& address);
  ~Listener();  // close()
  Listener(Listener&& other) noexcept;

  int descriptor() const { return descriptor_.get(); }
  const std::string& address() const { return address_; }  // with the port that was chosen

  // Stops listening and removes the file of a Unix socket. A second call does nothing.
  void close();

 private:
  Descriptor descriptor_;
  std::string address_;
  std::string file_;  // of a Unix socket
};

struct Accepted {
  int descriptor = -1;  // -1: nobody waits, or `error`
  int error = 0;        // errno, such as EMFILE
  int family = 0;
  std::string peer;     // "192.0.2.1:4711", "[2001:db8::1]:4711", "unix"
  std::string address;  // the same without its port
};

// Accepts one waiting connection; never blocks.
Accepted accept_one(int listener, const Limits& limits);

}  // namespace ropewalk::http
