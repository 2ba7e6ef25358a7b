// bench_runs.h — the timed runs of `ropewalk bench`, each with its bandwidth or FLOP model.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/abi/step_counts.h"
#include "core/engine/runtime.h"

namespace ropewalk {

struct BenchRow {
  std::string_view kind;  // "prefill" or "decode"
  uint32_t batch;
  uint32_t context;
  uint32_t adapters;    // that its sequences have
  uint64_t steps;       // that were timed
  double tokens_per_s;  // of all sequences together
  double gbs;           // weights as they are packed, and cache, 1e9 bytes per second
  double tflops;        // of a prefill; 0 for decode steps, which are bound by reading
  double needed_gbs;    // of a decode step: weights as a checkpoint has them, and cache
  std::optional<abi::StepCounts> counts;  // of the last step; absent where the device tells none
};

// The rate as a fraction of the limit: the read bandwidth for decode, the FLOP rate for prefill.
std::optional<double> fraction_of_ideal(const BenchRow& row, const Ceiling& ceiling);
// The same with the copy bandwidth for decode, which other engines' figures refer to.
std::optional<double> fraction_by_copy(const BenchRow& row, const Ceiling& ceiling);

// Fills the whole cache with random numbers. A sequence may then claim any length without a
// prefill. The numbers are finite and not zero: zeros can be faster to read and to multiply.
void fill_cache(Runtime& runtime);

// A prompt of `context` tokens. REQUIRES: it fits the context.
BenchRow bench_prefill(Runtime& runtime, uint32_t context);

struct DecodeRun {
  uint32_t batch;
  uint32_t context;  // tokens in the cache before the first step
  uint32_t steps;
  uint32_t adapters = 0;  // sequence i has number i % adapters; 0: none has one
};

// REQUIRES: context + steps fit the context, and fill_cache() has been called.
BenchRow bench_decode(Runtime& runtime, const DecodeRun& run);

}  // namespace ropewalk
