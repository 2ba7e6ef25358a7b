// weights.h — a weight's way into this device's layout, and what is known of those that are there.
//
//   gptq    tiles as gptq/layout.h draws them
//   dense   (cols, rows) in the orders asked for, element type as stored
//   embed   (vocab, hidden) as stored
#pragma once

#include <cstdint>

#include "backends/cuda/device/memory.h"
#include "backends/cuda/gptq/layout.h"
#include "core/abi/device_tables.h"

namespace ropewalk::cuda {

// Of a dense weight rows and cols of its layout alone count.
using PackedWeights = abi::PackedWeights<gptq::Layout>;

// A multiple of 256. Throws Failure (unsupported, invalid_argument) for a weight that cannot be
// packed.
uint64_t packed_bytes(const abi::Weight& weight);

// Throws Failure where `to` is too small. REQUIRES: a weight that check_weight() has passed.
// The spans may be reused when it returns. Returns the layout of the whole, parts to come included.
gptq::Layout pack(const abi::Weight& weight, const abi::Slice& to, Memory& memory,
                  Context& context);

}  // namespace ropewalk::cuda
