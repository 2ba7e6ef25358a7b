#include "apps/running_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

namespace ropewalk {

RunningLine::~RunningLine() {
  if (on_screen_) *settings_.where << "\r\033[K" << std::flush;
}

void RunningLine::show(double share, std::string_view text) {
  if (!settings_.where) return;
  const Clock::time_point now = Clock::now();
  constexpr std::chrono::milliseconds kBetween(200);
  if (now - start_ < settings_.patience || now - drawn_ < kBetween) return;
  drawn_ = now;
  on_screen_ = true;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const std::string left = share > 0 ? clock_text(elapsed / share * (1 - share)) : "?";
  *settings_.where << fmt::format("\r\033[K{:3.0f} %  {}  {} left", 100 * share, text, left)
                   << std::flush;
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<unsigned long>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace ropewalk
