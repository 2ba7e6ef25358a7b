// service.h — what all conversations of a server share. Only the I/O thread touches it, except for
// the counters.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "core/http/limits.h"
#include "core/http/router.h"
#include "core/http/server.h"

namespace ropewalk::http {

struct Service {
  const Limits limits;
  const Router router;
  const Hooks hooks;
  const std::function<void(std::function<void()>)> run_on_worker;
  const std::function<std::string()> make_id;
  const std::function<std::string()> date;

  std::array<char, 64u << 10> read_buffer = {};  // for one read of any connection
  bool draining = false;
  uint64_t bodies = 0;  // bytes of the bodies of all requests that are not answered yet
  std::atomic<uint32_t> connections = 0, answering = 0;
  std::atomic<uint64_t> requests = 0;  // answered or refused
};

}  // namespace ropewalk::http
