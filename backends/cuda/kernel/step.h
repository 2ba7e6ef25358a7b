// step.h — a step as the kernels see it: fixed addresses in device memory whose contents change
// with each step.
#pragma once

#include <cstdint>

#include "core/abi/operands.h"

namespace ropewalk::cuda {

using abi::Extent;

struct StepView {
  const uint32_t* counts;    // (3) rows and wanted rows, indexed by Extent; rows of prompts
  const int32_t* token;      // (R)
  const uint32_t* position;  // (R)
  const uint32_t* sequence;  // (R)
  const uint32_t* wanted;    // (W)
  const uint32_t* page;      // (S, pages_per_sequence)
  const float* inv_freq;     // (S, rope_pairs), from the op's table on
  const uint32_t* adapter;   // (S)
  uint32_t pages_per_sequence;
  uint32_t rope_pairs;  // of all tables of a sequence
};

}  // namespace ropewalk::cuda
