#include "apps/progress.h"

#include <iostream>

#include "apps/output.h"

namespace ropewalk {

void Progress::show(uint64_t done, uint64_t total) {
  if (!settings_.where) return;
  if (!bar_) {
    const bool late = std::chrono::steady_clock::now() - start_ >= settings_.patience;
    if (!late || done >= total) return;
    *settings_.where << title_ << '\n';
    bar_.emplace(total, *settings_.where, "");
  }
  *bar_ += done - bar_->count();
}

Progress::Settings progress_for(const CommonArguments& arguments) {
  const bool wanted = stderr_is_terminal() && !arguments.quiet && !arguments.json;
  return {wanted ? &std::cerr : nullptr, std::chrono::milliseconds(500)};
}

}  // namespace ropewalk
