// zero_points.h — how the zero points of a whole checkpoint are stored.
#pragma once

#include <cstdint>
#include <span>

#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

//   zero point    8   0  15   4 ...      4 bits, eight in a word
//   v2            8   0  15   4 ...      as it is
//   v1            7  15  14   3 ...      AutoGPTQ: one less in every code; a 0 is lost to 16
//   v1_borrowed   7  15  13   3 ...      GPTQModel: 0x11111111 taken from the word, so that a 0
//                                        borrows from the code above it: nothing is lost
enum class ZeroPoints : uint8_t { v1, v2, v1_borrowed };

// Decided once, from the data where it is symmetric (all v1 zeros are 2^(bits-1)-1, all v2 zeros
// 2^(bits-1)), else from the config; a contradiction is decided for the data with a warning.
// Reads the qzeros of as many layers as it takes; v1 where nothing is quantised. Throws Error, also
// where two configs contradict each other and the data does not tell.
ZeroPoints detect_zero_points(const Checkpoint& checkpoint);

// v1_borrowed to v2, in rows of `row_words` words. REQUIRES: 2, 3, 4 or 8 bits.
// Source: GPTQModel, convert_gptq_v1_to_v2_format_module().
void return_borrowed(std::span<uint32_t> words, uint64_t row_words, uint32_t bits);

// Bits of a code of PREFIX.qzeros, by its width and that of PREFIX.qweight; 0: they do not tell.
uint32_t zero_point_bits(const Checkpoint& checkpoint, const TensorInfo& qzeros);

}  // namespace ropewalk
