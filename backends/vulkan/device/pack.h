// pack.h — how weights lie in this device's memory, and how they are copied there.
//
// A matrix is cut into blocks of 32 rows of a column, `block_words` words each: `bits` words of
// codes, 16 words of f16 or bf16, 32 of f32. Neighbouring columns lie beside one another in units
// that an invocation loads at once, so a subgroup reads whole cache lines:
//
//   gptq    codes | padding to 256 bytes | scales (groups, cols), each with its zero
//   dense   codes
//   embed   table (vocab, hidden), unchanged
//
//   codes   (blocks, quads, cols, 4 words); for 2 and 3 bits (blocks, cols, words)
//
// A group's rows are padded to whole blocks with codes 0; the shader takes x as 0 there. Scale and
// zero + zero_offset share a word as two f16 (zeros are integers up to 256, exact), or are two f32
// words where the scales are f32. Zeros of 4 bits may be packed, eight groups at a time; with
// groups of 32 a weight then has 4.625 bits instead of 5:
//
//   scales  (groups / 8, 5, cols)   word 0 .. 3  f16 scales of two groups, the even one low
//                                   word 4       the zeros without zero_offset, 4 bits a group
#pragma once

#include <cstdint>

#include "backends/vulkan/device/memory.h"
#include "core/abi/weight.h"

namespace ropewalk::vulkan {

inline constexpr uint32_t kBlock = 32;                          // rows of a block
inline constexpr uint32_t kPackedGroups = 8, kPackedWords = 5;  // with packed zeros

// How zeros of 4 bits lie beside scales of f16: gptq_lean.comp reads few bytes, other shaders one
// word.
enum class Zeros { with_scales, packed, constant };

// Everything about a packed weight that a dispatch needs.
struct PackedShape {
  abi::WeightUse use;
  abi::DType dtype;
  abi::DType scale_dtype;
  uint32_t rows, cols;
  uint32_t bits;        // of a code; 16: f16, 17: bf16, 32: f32
  uint32_t group_size;  // dense: rows
  uint32_t blocks_per_group, blocks;
  uint32_t block_words;
  Zeros zeros;
  uint32_t zero_offset;  // of packed zeros
  uint32_t zero;         // the constant one, with its offset
  uint64_t scales_at;    // offset in bytes
  uint64_t bytes;        // a multiple of 256

  bool quantised() const { return dtype == abi::DType::gptq; }
  // Every block has all its 32 rows.
  bool whole_blocks() const { return group_size % kBlock == 0 && rows % kBlock == 0; }
};

// Throws Failure (unsupported, invalid_argument) for a weight that cannot be packed. Packed zeros
// are constant ones where the weight allows it; without its data, `bytes` is enough for both.
PackedShape packed_shape(const abi::Weight& weight, Zeros zeros);

// Throws Failure where `to` is too small. REQUIRES: a weight that check_weight() has passed.
void pack(const abi::Weight& weight, const PackedShape& shape, const abi::Slice& to,
          Memory& memory);

}  // namespace ropewalk::vulkan
