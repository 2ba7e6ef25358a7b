// progress.h — the one progress line of all commands, redrawn in its place on stderr:
//
//   loading the model  42 % [#######...........]  1.20 GiB of 2.86 GiB  0:12 left
//
// It fits the terminal: the text is cut first, then the bar is left out.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

#include "apps/commands.h"

namespace ropewalk {

class Progress {
 public:
  // `where` nullptr: nothing is drawn, as nothing is before `patience` has passed.
  struct Settings {
    std::ostream* where;
    std::chrono::milliseconds patience;
    size_t columns;  // of the terminal; 0: asks it
  };

  Progress(std::string title, Settings settings) : title_(std::move(title)), settings_(settings) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `share` is the fraction done, 0 to 1; `text` the result so far. Draws a few times a second.
  void show(double share, std::string_view text);
  void show_steps(uint64_t done, uint64_t total);
  // A line that was drawn stays at the end, with the rate. REQUIRES: `total` stays the same.
  void show_bytes(uint64_t done, uint64_t total);
  // Takes the line away, before something else is printed; the next show() draws it again.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  double seconds() const;

  std::string title_;
  Settings settings_;
  Clock::time_point start_ = Clock::now(), drawn_ = {};
  bool on_screen_ = false;
};

// On stderr after half a second where it is a terminal and neither --quiet nor --json was given,
// else nowhere.
Progress::Settings progress_for(const CommonArguments& arguments);

struct ProgressLine {
  std::string_view title;
  double share;
  std::string_view text;
  std::string_view left;  // "1:05"
};

// The line in fewer than `columns` columns, so that no terminal wraps it.
std::string progress_text(const ProgressLine& line, size_t columns);

// "1:05", "2:03:04": the form of the time left.
std::string clock_text(double seconds);

}  // namespace ropewalk
