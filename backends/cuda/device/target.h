// target.h — what decides which kernels a program is made of and how their work is divided: the
// device's size, the libraries that were found, and what the configuration asks for. Plain data, so
// that the memory plan, the launches and the tests agree.
#pragma once

#include <cstdint>

#include "backends/cuda/device/tuning.h"

namespace ropewalk::cuda {

// Whether there is a library for long products on this machine; Turing has no products of bf16.
enum class LongProducts { packed, cublas_without_bf16, cublas };

// The options `matvec`, `attention` and `pdl`. `automatic` is the table of crossovers.h, or the
// rule of attention_splits.h.
enum class PackedChoice { automatic, tiles8, tiles16, tiles32, tiles64 };
enum class AttentionChoice { automatic, plain, split };
enum class EarlyStart { never, where_possible };

struct Choices {
  PackedChoice packed = PackedChoice::automatic;
  AttentionChoice attention = AttentionChoice::automatic;
  EarlyStart early_start = EarlyStart::where_possible;
  Tuning tuning = {};
};

struct Target {
  uint32_t multiprocessors;
  uint64_t cache_bytes;   // of the second level
  uint32_t capability;    // 90 for sm_90
  uint32_t shared_bytes;  // that a thread block can have
  LongProducts long_products;
  Choices choices = {};

  const Tuning& tuning() const { return choices.tuning; }
};

}  // namespace ropewalk::cuda
