// pack.h — how weights lie in this device's memory, and how they are copied there.
//
// A matrix is divided into panels of 32 columns; the last is padded with zeros. Inside a panel rows
// follow one another, so the loop over rows streams and the loop over 32 columns is vector code. A
// packed weight begins with a header that says what follows: a graph's tensor does not give the
// type of the scales.
//
//   dense   header | panel 0: (rows, 32) of the stored type | panel 1 | ...
//   gptq    header | panel 0: group 0, group 1, ...         | panel 1 | ...
//           group: scales (32) f16 or f32 | zeros (32) u8 or u16 | codes (blocks, bits, 32) u32
//   embed   header | table (vocab, hidden) of the stored type, unchanged
//
// A group's rows are padded to whole blocks of 32, so that a block has one group. Zeros are
// zero + zero_offset, which for 8 bits may be 256. See code_shift() in kernels.h for the codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/cpu/kernels.h"
#include "backends/cpu/pool.h"
#include "core/abi/weight.h"

namespace ropewalk::cpu {

struct PackedHeader {
  uint32_t magic;
  uint32_t rows, cols;
  uint32_t group_size;  // 0: dense
  abi::WeightUse use;
  abi::DType dtype;
  abi::DType scale_dtype;
  uint8_t bits;
};
inline constexpr uint32_t kPackedMagic = 0x4b505752;
inline constexpr uint64_t kHeaderBytes = 64;

// Sizes that follow from a header.
struct PackedShape {
  explicit PackedShape(const PackedHeader& header);

  uint32_t panels;
  uint32_t groups;       // 0: dense
  uint64_t scale_bytes;  // of a group of a panel
  uint64_t zero_bytes;   // of a group of a panel
  uint64_t group_bytes;  // of a whole group of a panel
  uint64_t panel_bytes;
  uint64_t total_bytes;  // header included, a multiple of 256
};

// Blocks that so many rows of a group take.
inline uint32_t blocks_of(uint32_t rows) { return (rows + kBlock - 1) / kBlock; }

// The header of the whole weight, also where `weight` is a part.
PackedHeader packed_header(const abi::Weight& weight);

// Throws Failure where `to` is too small. REQUIRES: a weight that check_weight() has passed.
void pack(const abi::Weight& weight, std::span<std::byte> to, Pool& pool);

}  // namespace ropewalk::cpu
