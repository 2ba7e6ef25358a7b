// logit_maxima.h — the end of a program that computes logits: the id of the largest of each wanted
// row, written into the host's memory (core/abi/largest_logits.h).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>
#include <vector>

#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda {

class Context;

struct Logits {
  const float* at;         // (rows, width)
  const uint32_t* wanted;  // (1) rows of the step
  uint32_t rows, width;
};

// Pinned memory that programs write keys to; they share it, since they run one at a time. It is
// reserved while a model is loaded. A block that is too small for a later program stays, since
// recordings have its address.
class LogitKeys {
 public:
  explicit LogitKeys(Context& context) : context_(context) {}
  ~LogitKeys();
  LogitKeys(const LogitKeys&) = delete;
  LogitKeys& operator=(const LogitKeys&) = delete;

  // Of so many rows. Throws Failure (out_of_memory).
  uint64_t* reserve(uint32_t rows, uint32_t width);

 private:
  Context& context_;
  std::vector<uint64_t*> blocks_;
  uint64_t count_ = 0;  // keys in the last block
};

// Borrows the logits and the keys.
class LogitMaxima {
 public:
  LogitMaxima(const Logits& logits, uint64_t* keys, Start start)
      : logits_(logits), keys_(keys), start_(start) {}

  // Launches it behind what computes the logits. Errors are left for cudaGetLastError().
  void launch(cudaStream_t stream) const;
  // Of the first rows of the last step, as abi::LargestLogits says. Throws Failure
  // (invalid_argument) for more rows than there are. REQUIRES: the stream is empty.
  void read(std::span<int32_t> ids) const;

 private:
  const Logits logits_;
  uint64_t* const keys_;  // (rows, pieces of a row)
  const Start start_;
};

// A thread block looks at a piece of a row and writes its key. Of two keys the larger is that of
// the larger logit, and of equal logits that of the lower id. So the order of threads does not
// matter, and the host takes the largest over the pieces:
//
//    63                         32 31          0
//   | the logit's bits, in order  |    ~ id     |     0: no logit; all ones: one is not finite
inline constexpr uint32_t kMaxKeyThreads = 256;
inline constexpr uint32_t kKeyLogits = 16;  // of a thread
inline constexpr uint64_t kNotFiniteKey = ~uint64_t{0};

inline uint32_t pieces_of(uint32_t width) {
  constexpr uint32_t kPiece = kMaxKeyThreads * kKeyLogits;
  return (width + kPiece - 1) / kPiece;
}
// keys (rows, pieces of a row). Launch errors are left for cudaGetLastError().
void largest_keys(const Logits& logits, uint64_t* keys, Start start, cudaStream_t stream);

}  // namespace ropewalk::cuda
