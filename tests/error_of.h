// error_of.h — what a test says of an error that it expects.
#pragma once

#include <string>

#include "core/base/error.h"

namespace ropewalk::test {

// The message of the Error that `body` throws, and its code in front: "2 c.yaml:1:2: ...".
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return "no error";
}

}  // namespace ropewalk::test
