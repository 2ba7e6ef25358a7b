#include "backends/cuda/gptq/large_batch/slices.h"

namespace ropewalk::cuda {

Slices::Slices(Context& context) : context_(context) {
  try {
    for (Place& place : places_)
      for (cudaEvent_t* event : {&place.filled, &place.free})
        context_.check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "an event");
  } catch (...) {
    release();
    throw;
  }
}

Slices::~Slices() { release(); }

void Slices::release() {
  if (!context_.alive()) return;
  for (const Place& place : places_)
    for (const cudaEvent_t event : {place.filled, place.free})
      if (event) static_cast<void>(cudaEventDestroy(event));
}

void Slices::begin(std::byte* places, uint64_t bytes) {
  turn_ = 0;
  for (uint32_t i = 0; i < 2; ++i) {
    places_[i].at = places + i * bytes;
    places_[i].used = false;
  }
}

void Slices::record(cudaEvent_t event, cudaStream_t stream) {
  context_.check(cudaEventRecord(event, stream), "an event");
}

void Slices::wait(cudaEvent_t event, cudaStream_t stream) {
  context_.check(cudaStreamWaitEvent(stream, event, 0), "an event");
}

// The first slice of all leaves the program's stream where that stands: both places are free there,
// so that the second needs no wait of its own.
const std::byte* Slices::next(const Fill& fill, cudaStream_t stream) {
  Place& place = places_[turn_ % 2];
  const cudaStream_t side = context_.side_stream();
  if (turn_ == 0) record(place.free, stream);
  if (turn_ == 0 || place.used) wait(place.free, side);
  fill(place.at, side);
  record(place.filled, side);
  wait(place.filled, stream);
  place.used = true;
  return place.at;
}

void Slices::done(cudaStream_t stream) {
  record(places_[turn_ % 2].free, stream);
  ++turn_;
}

}  // namespace ropewalk::cuda
