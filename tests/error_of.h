// error_of.h — checks of an expected Error.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

// Fails where `body` throws no Error, or one with another code or message.
template <class Body>
void expect_error(ExitCode code, const testing::Matcher<std::string>& message, Body&& body) {
  try {
    body();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(std::string(error.what()), message);
  }
}

}  // namespace ropewalk::test
