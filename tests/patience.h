// patience.h — waits for what must happen. A test waits for a condition, never for a time, because
// the machine may be busy.
#pragma once

#include <chrono>
#include <thread>

namespace ropewalk::test {

// How long a test waits for what must happen before it fails.
inline constexpr std::chrono::seconds kPatience{30};

// Waits until `holds()`, looking every millisecond; false after kPatience.
template <class Holds>
bool eventually(Holds&& holds) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace ropewalk::test
