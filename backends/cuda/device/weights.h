// weights.h — packs weights into this device's layout, and remembers the layout of each.
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

// The layout of a dense weight has only rows and cols.
using PackedWeights = abi::PackedWeights<gptq::Layout>;

// A multiple of 256. Throws Failure (unsupported, invalid_argument) for a weight that cannot be
// packed.
uint64_t packed_bytes(const abi::Weight& weight);

// Throws Failure where `to` is too small. REQUIRES: a weight that check_weight() has passed.
// The spans may be reused when it returns. Returns the layout of the whole weight, with the parts
// that are still to come.
gptq::Layout pack(const abi::Weight& weight, const abi::Slice& to, Memory& memory,
                  Context& context);

}  // namespace ropewalk::cuda
