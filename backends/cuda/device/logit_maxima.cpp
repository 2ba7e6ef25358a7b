#include "backends/cuda/device/logit_maxima.h"

#include <algorithm>

#include "backends/cuda/device/context.h"
#include "core/abi/guard.h"
#include "core/abi/largest_logits.h"

namespace ropewalk::cuda {

LogitKeys::~LogitKeys() {
  if (!context_.alive()) return;
  for (uint64_t* block : blocks_) static_cast<void>(cudaFreeHost(block));
}

uint64_t* LogitKeys::reserve(uint32_t rows, uint32_t width) {
  const uint64_t count = uint64_t{rows} * pieces_of(width);
  if (count <= count_) return blocks_.back();
  void* memory = nullptr;
  blocks_.reserve(blocks_.size() + 1);
  context_.check(cudaHostAlloc(&memory, count * sizeof(uint64_t), cudaHostAllocMapped),
                 "pinned memory");
  blocks_.push_back(static_cast<uint64_t*>(memory));
  count_ = count;
  return blocks_.back();
}

// The kernel writes to the host's memory itself: a copy would be one more wait.
void LogitMaxima::launch(cudaStream_t stream) const {
  largest_keys(logits_, keys_, start_, stream);
}

void LogitMaxima::read(std::span<int32_t> ids) const {
  if (ids.size() > logits_.rows)
    throw abi::Failure(abi::StatusCode::invalid_argument, "more rows than the step's program has");
  const uint32_t pieces = pieces_of(logits_.width);
  for (size_t row = 0; row < ids.size(); ++row) {
    const uint64_t* const keys = keys_ + row * pieces;
    const uint64_t key = *std::max_element(keys, keys + pieces);
    const auto id = static_cast<int32_t>(~static_cast<uint32_t>(key));
    ids[row] = key == kNotFiniteKey ? abi::kNotFinite : id;
  }
}

}  // namespace ropewalk::cuda
