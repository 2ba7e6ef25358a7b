// slices.h — two buffers for slices of dequantised weights. The device's second stream fills one
// while the program's stream multiplies the other.
//
//   side stream      | fill slice 0 | fill slice 1 | fill slice 2 | ..
//   program's stream                | multiply 0   | multiply 1   | multiply 2 | ..
//
// Events order the two streams, so this works in a recording too. The first slice of a product is
// filled while the kernels in front of the product still run. Owns its events; the programs of a
// device share it and lend it their memory.
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

  // Call before the launches of a program, recorded or not. `buffers` has twice `bytes`.
  void begin(std::byte* buffers, uint64_t bytes);
  using Fill = std::function<void(std::byte* to, cudaStream_t stream)>;
  // Fills a buffer; later launches into `stream` see what `fill` wrote. REQUIRES: done() was called
  // for the previous slice.
  const std::byte* next(const Fill& fill, cudaStream_t stream);
  // The launches that read the last slice are in `stream`.
  void done(cudaStream_t stream);

 private:
  struct Buffer {
    std::byte* at = nullptr;
    cudaEvent_t filled = nullptr, free = nullptr;
    bool used = false;  // since begin()
  };

  void record(cudaEvent_t event, cudaStream_t stream);
  void wait(cudaEvent_t event, cudaStream_t stream);
  void release();

  Context& context_;
  Buffer buffers_[2];
  uint32_t current_ = 0;
};

}  // namespace ropewalk::cuda
