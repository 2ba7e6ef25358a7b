// guard.h — exceptions stop here. Every entry of a module wraps its body in guard().
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "core/abi/status.h"

namespace ropewalk::abi {

// The exception for use inside a module: carries the code that guard() returns.
class Failure : public std::exception {
 public:
  Failure(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}
  StatusCode code() const { return code_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  StatusCode code_;
  std::string message_;
};

// Runs `body` and turns whatever it throws into a Status. An exception's type and its text live in
// the module that threw it, so both must end here: only the copied text goes on.
template <class Body>
Status guard(Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return Status{};
  } catch (const Failure& failure) {
    return fail(failure.code(), failure.what());
  } catch (const std::bad_alloc&) {
    return fail(StatusCode::out_of_memory, "out of host memory");
  } catch (const std::exception& error) {
    return fail(StatusCode::internal, error.what());
  } catch (...) {
    return fail(StatusCode::internal, "an exception that is not a std::exception was thrown");
  }
}

}  // namespace ropewalk::abi
