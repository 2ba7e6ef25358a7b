#include "apps/progress.h"

#include <fmt/format.h>

#include <iostream>

#include "apps/output.h"
#include "core/base/bytes.h"

namespace ropewalk {

void Progress::show(uint64_t done, uint64_t total) {
  if (!settings_.where) return;
  if (!bar_) {
    const bool late = std::chrono::steady_clock::now() - start_ >= settings_.patience;
    if (!late || done >= total) return;
    *settings_.where << title_ << '\n';
    bar_.emplace(total, *settings_.where, "");
  }
  if (bar_->count() == total) return;
  *bar_ += done - bar_->count();
  if (done < total || unit_ != ProgressUnit::bytes) return;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
  *settings_.where << fmt::format("{} in {:.1f} s, {:.2f} GB/s\n", format_bytes(total),
                                  seconds.count(),
                                  static_cast<double>(total) / seconds.count() / 1e9);
}

Progress::Settings progress_for(const CommonArguments& arguments) {
  const bool wanted = stderr_is_terminal() && !arguments.quiet && !arguments.json;
  return {wanted ? &std::cerr : nullptr, std::chrono::milliseconds(500)};
}

}  // namespace ropewalk
