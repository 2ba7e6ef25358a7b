// progress.h — a bar on stderr for work that takes long; the only user of Boost.Timer.
#pragma once

#include <boost/timer/progress_display.hpp>
#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "apps/commands.h"

namespace ropewalk {

enum class ProgressUnit { steps, bytes };

class Progress {
 public:
  // `where` nullptr: no bar. Nothing is drawn before `patience` has passed.
  struct Settings {
    std::ostream* where;
    std::chrono::milliseconds patience;
  };

  Progress(std::string title, ProgressUnit unit, Settings settings)
      : title_(std::move(title)), unit_(unit), settings_(settings) {}

  // For bytes, the rate is written below the bar at the end. REQUIRES: `total` stays the same and
  // `done` does not shrink.
  void show(uint64_t done, uint64_t total);

 private:
  std::string title_;
  ProgressUnit unit_;
  Settings settings_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::optional<boost::timer::progress_display> bar_;
};

// On stderr after half a second where it is a terminal and neither --quiet nor --json was given,
// else nowhere.
Progress::Settings progress_for(const CommonArguments& arguments);

}  // namespace ropewalk
