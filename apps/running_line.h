// running_line.h — one line on stderr that is redrawn during a long measurement: progress, the
// result so far, and the time left.
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

  // `share` is the fraction done, 0 to 1; `text` the result so far.
  void show(double share, std::string_view text);

 private:
  using Clock = std::chrono::steady_clock;

  Progress::Settings settings_;
  Clock::time_point start_ = Clock::now(), drawn_ = start_;
  bool on_screen_ = false;
};

// "1:05", "2:03:04": the form of the time left.
std::string clock_text(double seconds);

}  // namespace ropewalk
