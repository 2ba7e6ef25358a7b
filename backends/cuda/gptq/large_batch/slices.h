// slices.h — two places for slices of dequantised weights, filled in turn on the device's second
// stream while the stream of the program multiplies the other.
//
// Events order the two, so that this works in a recording too. Filling runs ahead: the first slice
// of a product is made while what is before it still runs, since it needs nothing of it. Owns its
// events; a device has one for all of its programs, whose steps give it their memory.
#pragma once

#include <functional>

#include "backends/cuda/device/context.h"

namespace ropewalk::cuda {

class Slices {
 public:
  explicit Slices(Context& context);
  ~Slices();
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  // Before the first slice of a program's launches, recorded or not. `places` has twice `bytes`.
  void begin(std::byte* places, uint64_t bytes);
  using Fill = std::function<void(std::byte* to, cudaStream_t stream)>;
  // A place that `fill` has filled for what `stream` is given from now on. REQUIRES: of the slices
  // filled, done() has been said of all but the last.
  const std::byte* next(const Fill& fill, cudaStream_t stream);
  // What reads the last slice has been given to `stream`.
  void done(cudaStream_t stream);

 private:
  struct Place {
    std::byte* at = nullptr;
    cudaEvent_t filled = nullptr, free = nullptr;
    bool used = false;  // since begin()
  };

  void record(cudaEvent_t event, cudaStream_t stream);
  void wait(cudaEvent_t event, cudaStream_t stream);
  void release();

  Context& context_;
  Place places_[2];
  uint32_t turn_ = 0;
};

}  // namespace ropewalk::cuda
