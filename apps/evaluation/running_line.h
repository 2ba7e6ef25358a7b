// running_line.h — one line on stderr that is drawn anew as a long measurement goes on: how far it
// is, what it says so far, and how long it will take.
#pragma once

#include <chrono>
#include <iosfwd>
#include <string>
#include <string_view>

#include "apps/progress.h"

namespace ropewalk {

class RunningLine {
 public:
  // Draws nothing before the settings' patience has passed, and nothing at all without a `where`.
  explicit RunningLine(Progress::Settings settings) : settings_(settings) {}
  ~RunningLine();
  RunningLine(const RunningLine&) = delete;
  RunningLine& operator=(const RunningLine&) = delete;

  // `share` of the whole that is done, 0 to 1, and what to say of it.
  void show(double share, std::string_view text);

 private:
  using Clock = std::chrono::steady_clock;

  Progress::Settings settings_;
  Clock::time_point start_ = Clock::now(), drawn_ = start_;
  bool on_screen_ = false;
};

// "1:05", "2:03:04"; what a line says of the time left.
std::string clock_text(double seconds);

}  // namespace ropewalk
