// step_inputs.h — pinned memory through which the inputs of steps reach the device.
//
// Two blocks are filled alternately, so that a step can be written while the previous one is still
// copied. An event says when a block may be written again. All programs of a device share them.
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

  // Makes room for steps of `bytes`. Throws Failure (out_of_memory).
  void reserve(uint64_t bytes);
  // Copies what `fill` writes, ordered by the stream. REQUIRES: `bytes` are reserved.
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
