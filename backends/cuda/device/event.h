// event.h — a point in the device's stream whose time can be asked for.
//
// Borrows its context.
#pragma once

#include "backends/cuda/device/context.h"

namespace ropewalk::cuda {

class Event {
 public:
  explicit Event(Context& context) : context_(context) {
    context.check(cudaEventCreate(&event_), "an event");
  }
  ~Event() {
    if (context_.alive()) static_cast<void>(cudaEventDestroy(event_));
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record() { context_.check(cudaEventRecord(event_, context_.stream()), "an event"); }
  // Throws Failure. REQUIRES: both have been recorded and waited for.
  double seconds_since(const Event& begin) const {
    float milliseconds = 0;
    context_.check(cudaEventElapsedTime(&milliseconds, begin.event_, event_), "a time");
    return milliseconds * 1e-3;
  }

 private:
  Context& context_;
  cudaEvent_t event_ = nullptr;
};

}  // namespace ropewalk::cuda
