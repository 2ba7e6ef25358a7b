// step_inputs.h — pinned memory through which steps' inputs reach the device: two blocks that are
// filled in turn, so that a step can be written while the copy of the one before is under way.
//
// A device has one for all of its programs. An event says when a block may be written again.
#pragma once

#include <functional>

#include "backends/cuda/device/context.h"

namespace ropewalk::cuda {

class StepInputs {
 public:
  explicit StepInputs(Context& context) : context_(context) {}
  ~StepInputs();
  StepInputs(const StepInputs&) = delete;
  StepInputs& operator=(const StepInputs&) = delete;

  // Allocates what is missing for steps of `bytes`. Throws Failure (out_of_memory).
  void cover(uint64_t bytes);
  // Copies what `fill` writes, after what the stream already holds. REQUIRES: they are covered.
  using Fill = std::function<void(std::byte* to)>;
  void send(std::byte* to, uint64_t bytes, const Fill& fill);

 private:
  struct Pinned {
    std::byte* data = nullptr;
    cudaEvent_t free = nullptr;
  };

  Context& context_;
  Pinned pinned_[2];
  uint64_t bytes_ = 0;
  uint32_t next_ = 0;
};

}  // namespace ropewalk::cuda
