// refused.h — how the parts of this room refuse a request: an exception that carries the Refusal.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/http/message.h"

namespace ropewalk::http {

class Refused : public std::exception {
 public:
  explicit Refused(Refusal refusal) : refusal_(std::move(refusal)) {}
  const Refusal& refusal() const { return refusal_; }
  const char* what() const noexcept override { return refusal_.message.c_str(); }

 private:
  Refusal refusal_;
};

[[noreturn]] inline void refuse(int status, std::string_view code, std::string message) {
  throw Refused({.status = status, .code = code, .message = std::move(message)});
}

[[noreturn]] inline void refuse_malformed(std::string message) {
  refuse(400, "bad_request", std::move(message));
}

// A client's value for use in a message: in quotes, printable, at most 64 bytes.
inline std::string in_quotes(std::string_view value) { return "\"" + printable(value, 64) + "\""; }

}  // namespace ropewalk::http
