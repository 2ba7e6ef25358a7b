// pace.h — how much arithmetic a submission has: as much as the device does in a time that neither
// a driver's watchdog nor a desktop that shares the device minds.
//
// Arithmetic alone, without a clock. Watchdogs end what runs for seconds: Windows' after two. Until
// a step has run there is an estimate, with which a submission ends within a second on a device of
// 0.1 TFLOP/s. From then on the rate of the steps counts: a slow device gets more submissions, a
// fast one fewer, each of which costs tens of microseconds. No submission has less than one
// dispatch, and no dispatch more than the estimate.
#pragma once

#include <algorithm>
#include <utility>

namespace ropewalk::vulkan {

class Pace {
 public:
  static constexpr double kSeconds = 0.1;  // of a submission, at most

  // `estimate`: FLOP of a submission. A fixed pace stays what it is.
  enum class Kind { measured, fixed };
  Pace(double estimate, Kind kind) : kind_(kind), budget_(estimate), allowed_before_(estimate) {}

  double budget() const { return budget_; }

  // A step of `flop` took at most `seconds`. Whether its commands must be cut anew, by the budget
  // that they have from now on. A step may be slow by chance, the first one because a driver
  // compiles: the faster of two counts.
  bool ran(double flop, double seconds) {
    if (kind_ == Kind::fixed || flop <= 0 || seconds <= 0) return false;
    const double now = flop / seconds * kSeconds;
    const double allowed = std::max(now, std::exchange(allowed_before_, now));
    const bool is_slow = budget_ > allowed && flop > allowed;
    const bool is_fast = budget_ < allowed * kWorthIt && flop > budget_;
    if (is_slow || is_fast) budget_ = allowed * kReserve;
    return is_slow || is_fast;
  }

 private:
  static constexpr double kReserve = 0.75;  // steps differ, with the length of texts for example
  static constexpr double kWorthIt = 0.25;  // of what is allowed: less is too many submissions

  const Kind kind_;
  double budget_, allowed_before_;  // FLOP of a submission
};

}  // namespace ropewalk::vulkan
