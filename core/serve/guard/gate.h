// gate.h — what every request must pass before its body is read: the Host header and the key.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "core/config/config.h"
#include "core/http/message.h"
#include "core/serve/guard/keys.h"

namespace ropewalk::serve {

// Whether `listen` can be reached from this machine alone.
bool is_local(const std::string& listen);
// Throws Error(usage) where the server would be open to strangers: beyond the loopback, without
// keys, and not serve.anonymous.
void check_exposure(const ServeConfig& serve, const Keys& keys);

struct Caller {
  uint32_t number = 0;      // stays with the digest, from 1; 0: there is no key
  std::string digest = {};  // of the key, which stays when the file of keys changes
};

// Threads: every function may be called from any thread.
class Gate {
 public:
  // REQUIRES: `serve` outlives this.
  Gate(const ServeConfig& serve, Keys keys);

  // The name of the request's key; empty where none is needed. Throws ApiError: 403
  // host_not_allowed, 401 invalid_api_key.
  std::string pass(const http::Request& request);
  // Whose key a request has that has passed.
  Caller caller(const http::Request& request) const;
  // Whether there are several keys, whose users are strangers to each other.
  bool has_strangers() const;
  // Reads the file of keys again.
  void reload_keys();

 private:
  void check_host(const http::Request& request) const;
  bool is_public(const http::Request& request) const;

  const ServeConfig& serve_;
  const bool local_;
  mutable std::mutex mutex_;
  Keys keys_;
  mutable std::map<std::string, uint32_t> numbers_;  // by digest, of the keys that have asked
};

}  // namespace ropewalk::serve
