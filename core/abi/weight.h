// weight.h — a weight as the host hands it to a device for packing: as stored on disk, with the
// orders in which the device must lay it out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ropewalk::abi {

enum class DType : uint8_t { f32 = 1, f16 = 2, bf16 = 3, i32 = 4, i8 = 5, gptq = 6 };

// What a weight is for; it decides which layouts a device may choose.
enum class WeightUse : uint8_t {
  matmul = 1,  // y (R, cols) = x (R, rows) . W (rows, cols)
  embed = 2,   // a table whose row t is token t's embedding; always dense, (cols, rows) = (vocab,
               // hidden)
};

// GPTQ packing (AutoGPTQ nn_modules/qlinear). Codes of `bits` bits form a little-endian bit stream
// along one axis: code i occupies bits [bits*i, bits*(i+1)) of consecutive 32-bit words.
//
//   qweight  (rows*bits/32, cols)   the stream of a column runs down the rows
//   qzeros   (groups, cols*bits/32) the stream of a group runs along the columns
//   scales   (groups, cols)
//
//   bit 31        ...         4 3     0
//      [ k=7 | k=6 |  ...  | k=1 | k=0 ]      a word of 4-bit qweight holds rows 8j .. 8j+7
//
// Position (k, n) of the laid-out matrix is position (row_order[k], column_order[n]) of the stored
// one. The rows are ordered by group, so that row k belongs to group k / group_size:
//
//   W[k][n] = scales[k / group_size][c] * (code(r, c) - (zero(k / group_size, c) + zero_offset))
//       with r = row_order[k], c = column_order[n]
//
// zero + zero_offset is not masked: a stored 15 of 4 bits with offset 1 means 16 (exllama's
// reading).
struct Weight {
  WeightUse use = WeightUse::matmul;
  DType dtype = DType::f16;  // f32, f16, bf16: dense; gptq: packed
  uint32_t rows = 0;         // input features
  uint32_t cols = 0;         // output features

  std::span<const std::byte> dense = {};  // (cols, rows), the layout of nn.Linear.weight

  uint8_t bits = 0;                // 2, 3, 4 or 8
  uint8_t zero_offset = 0;         // 1 for the format "gptq", 0 for "gptq_v2"
  uint32_t group_size = 0;         // rows per group, at most `rows`; the last group may be short
  DType scale_dtype = DType::f16;  // f16 or f32
  std::span<const uint32_t> qweight = {}, qzeros = {};
  std::span<const std::byte> scales = {};

  std::span<const uint32_t> row_order = {};     // (rows) or empty: as stored
  std::span<const uint32_t> column_order = {};  // (cols) or empty: as stored; dense weights too

  // A large weight comes in parts, so that host memory holds one part at a time. All members above
  // then describe the part: the laid-out columns [first_column, first_column + cols) of the whole.
  uint32_t first_column = 0;  // a multiple of kPartColumns
  uint32_t of_cols = 0;       // columns of the whole; 0: as many as here, there are no parts

  uint32_t whole_cols() const { return of_cols ? of_cols : cols; }
  uint32_t groups() const { return group_size ? (rows + group_size - 1) / group_size : 0; }
};

// Parts start at multiples of it, which are tile boundaries in every layout.
inline constexpr uint32_t kPartColumns = 256;

// Code `index` of the bit stream whose words are words[0], words[stride], words[2*stride], ...
inline uint32_t gptq_code(const uint32_t* words, uint64_t stride, uint32_t bits, uint64_t index) {
  const uint64_t bit = index * bits;
  const uint32_t shift = static_cast<uint32_t>(bit % 32);
  uint64_t window = words[bit / 32 * stride];
  if (shift + bits > 32) window |= static_cast<uint64_t>(words[(bit / 32 + 1) * stride]) << 32;
  return static_cast<uint32_t>(window >> shift) & ((1u << bits) - 1);
}

}  // namespace ropewalk::abi
