// status.h — the answer of every call that crosses a library boundary. Plain data, by value.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string_view>

namespace ropewalk::abi {

enum class StatusCode : uint32_t {
  ok = 0,
  invalid_argument = 1,  // an option or a call outside its contract
  unsupported = 2,       // a node, type or feature this module does not have
  no_device = 3,         // no driver, no device, or one that is too old
  out_of_memory = 4,     // host or device
  device_lost = 5,       // the device is gone; every later call says the same
  internal = 6,          // anything else, an escaped exception included
};

// 256 bytes. The message is one clause in plain words, NUL-terminated, cut to fit.
struct Status {
  StatusCode code = StatusCode::ok;
  char message[252] = {};

  bool ok() const { return code == StatusCode::ok; }
};

inline Status fail(StatusCode code, std::string_view message) {
  Status status;
  status.code = code;
  std::snprintf(status.message, sizeof status.message, "%.*s", static_cast<int>(message.size()),
                message.data());
  return status;
}

}  // namespace ropewalk::abi
