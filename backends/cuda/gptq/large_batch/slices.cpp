#include "backends/cuda/gptq/large_batch/slices.h"

namespace ropewalk::cuda {

Slices::Slices(Context& context) : context_(context) {
  try {
    for (Buffer& buffer : buffers_)
      for (cudaEvent_t* event : {&buffer.filled, &buffer.free})
        context_.check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "an event");
  } catch (...) {
    release();
    throw;
  }
}

Slices::~Slices() { release(); }

void Slices::release() {
  if (!context_.alive()) return;
  for (const Buffer& buffer : buffers_)
    for (const cudaEvent_t event : {buffer.filled, buffer.free})
      if (event) static_cast<void>(cudaEventDestroy(event));
}

void Slices::begin(std::byte* buffers, uint64_t bytes) {
  current_ = 0;
  for (uint32_t i = 0; i < 2; ++i) {
    buffers_[i].at = buffers + i * bytes;
    buffers_[i].used = false;
  }
}

void Slices::record(cudaEvent_t event, cudaStream_t stream) {
  context_.check(cudaEventRecord(event, stream), "an event");
}

void Slices::wait(cudaEvent_t event, cudaStream_t stream) {
  context_.check(cudaStreamWaitEvent(stream, event, 0), "an event");
}

// The first slice makes the side stream wait for what the program's stream holds now. Both buffers
// are free from there on, so the second slice needs no wait.
const std::byte* Slices::next(const Fill& fill, cudaStream_t stream) {
  Buffer& buffer = buffers_[current_ % 2];
  const cudaStream_t side = context_.side_stream();
  if (current_ == 0) record(buffer.free, stream);
  if (current_ == 0 || buffer.used) wait(buffer.free, side);
  fill(buffer.at, side);
  record(buffer.filled, side);
  wait(buffer.filled, stream);
  buffer.used = true;
  return buffer.at;
}

void Slices::done(cudaStream_t stream) {
  record(buffers_[current_ % 2].free, stream);
  ++current_;
}

}  // namespace ropewalk::cuda
