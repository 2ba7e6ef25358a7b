// target.h — what decides which kernels a program uses and how their work is divided: the size of
// the device, the libraries that were found, and the configuration. Plain data, so that the memory
// plan, the launches and the tests agree.
#pragma once

#include <cstdint>

#include "backends/cuda/device/tuning.h"

namespace ropewalk::cuda {

// What multiplies large batches on this machine; Turing has no products of bf16. Without a library
// the kernels for packed and dense weights do it.
enum class LargeBatchLibrary { none, cublas_without_bf16, cublas };

// The options `matvec`, `attention`, `combine`, `norms`, `large-batch`, `epilogues`, `pdl` and
// `batch-invariant`. `automatic` is the table of crossovers.h, or the rule of attention_splits.h.
enum class PackedChoice { automatic, tiles8, tiles16, tiles32, tiles64 };
enum class AttentionChoice { automatic, plain, split, wgmma };
// Who combines the runs of attention: the thread block that ends last, or a kernel of its own.
enum class CombineChoice { last, own };
// Who computes a norm: the products that read it, or a kernel of its own (program/prepared.h).
enum class NormChoice { folded, own };
// What multiplies packed weights by the rows that large_batch/matmul.h takes.
enum class LargeBatchChoice { cublas, wgmma };
// Whether those products pass f16 on (large_batch/epilogue.h), or f32 between kernels of their own.
enum class Epilogues { fused, separate };
enum class EarlyStart { never, where_possible };
// invariant: the bits of a row do not depend on the rows beside it. Kernels are then chosen, and
// their work is divided, as for kInvariantRows.
enum class Batches { fast, invariant };
inline constexpr uint32_t kInvariantRows = 8;

struct Choices {
  PackedChoice packed = PackedChoice::automatic;
  AttentionChoice attention = AttentionChoice::automatic;
  CombineChoice combine = CombineChoice::last;
  NormChoice norms = NormChoice::folded;
  LargeBatchChoice large_batch = LargeBatchChoice::cublas;
  Epilogues epilogues = Epilogues::fused;
  EarlyStart early_start = EarlyStart::where_possible;
  Batches batches = Batches::fast;
  Tuning tuning = {};
};

struct Target {
  uint32_t multiprocessors;
  uint64_t cache_bytes;   // the second-level cache
  uint32_t capability;    // 90 for sm_90
  uint32_t shared_bytes;  // max of a thread block
  LargeBatchLibrary large_batch;
  Choices choices = {};

  const Tuning& tuning() const { return choices.tuning; }
  bool batch_invariant() const { return choices.batches == Batches::invariant; }
};

}  // namespace ropewalk::cuda
