#include "backends/cuda/program/step_inputs.h"

#include <utility>

namespace ropewalk::cuda {

StepInputs::~StepInputs() {
  if (!context_.alive()) return;
  for (const Pinned& pinned : pinned_) {
    static_cast<void>(cudaFreeHost(pinned.data));
    if (pinned.free) static_cast<void>(cudaEventDestroy(pinned.free));
  }
}

void StepInputs::reserve(uint64_t bytes) {
  if (bytes <= bytes_) return;
  context_.wait();
  bytes_ = 0;
  for (Pinned& pinned : pinned_) {
    context_.check(cudaFreeHost(std::exchange(pinned.data, nullptr)), "pinned memory");
    void* data = nullptr;
    context_.check(cudaHostAlloc(&data, bytes, cudaHostAllocDefault), "pinned memory");
    pinned.data = static_cast<std::byte*>(data);
    if (!pinned.free)
      context_.check(cudaEventCreateWithFlags(&pinned.free, cudaEventDisableTiming), "an event");
  }
  bytes_ = bytes;
}

void StepInputs::send(std::byte* to, uint64_t bytes, const Fill& fill) {
  const Pinned& pinned = pinned_[next_];
  next_ = 1 - next_;
  context_.check(cudaEventSynchronize(pinned.free), "a step's inputs");
  fill(pinned.data);
  context_.check(cudaMemcpyAsync(to, pinned.data, bytes, cudaMemcpyHostToDevice, context_.stream()),
                 "a step's inputs");
  context_.check(cudaEventRecord(pinned.free, context_.stream()), "an event");
}

}  // namespace ropewalk::cuda
