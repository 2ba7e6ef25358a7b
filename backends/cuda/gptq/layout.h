// layout.h — how a GPTQ weight lies in this device's memory, as functions of indices.
//
// Columns are cut into tiles of 32; the last tile is padded. Rows are cut into blocks of 32 that
// never cross a group; the last block of a group is padded with codes that meet x = 0. A column
// tile is one stream that a thread block reads from front to back:
//
//   | header of group 0 | block 0 | .. | block b-1 | header of group 1 | block b | ...
//     32 columns          32 lanes
//     scale and zero      `bits` words each
//
// A block is laid out for mma.m16n8k16 with the weight's columns as M and x's rows as N. Lane (g =
// lane / 4, t = lane % 4) holds the columns g, g + 8, g + 16, g + 24 at the rows 8t .. 8t+7. The
// instruction would give that lane the rows 2t, 2t+1, 2t+8, 2t+9, but the terms of a sum may come
// in any order, as long as x comes in the same one. So a lane's fragment of x is 8 consecutive f16,
// one 16-byte load, and its fragment of a 4-bit block is 4 words, another 16-byte load.
//
// A lane's 32 codes are a little-endian stream, column after column. With 4 bits a column is one
// word, whose nibbles are interleaved so that (word >> s) & 0x000f000f is a pair of neighbours:
//
//   bit 31                                        0
//      [ k7 | k5 | k3 | k1 | k6 | k4 | k2 | k0 ]
//
// A lane's words are cut into units that it loads at once; the units of all lanes lie side by side.
//
// The reference format, 4 bits in groups of 32 with scales of f16, has small headers. A group is
// one block there, 592 bytes with its header, or 576 where all zeros of the weight are one number,
// which Layout::zero then holds. With g = 0 .. 7:
//
//   byte 0                     64                  80                          592
//      | g: 4 scales, 8 bytes | g: 4 zeros, 2 bytes | codes of the block, 512 bytes |
//                             '-- absent in 576 --'
//   scales of g:  the columns g, g + 8, g + 16, g + 24, f16 each
//   zeros of g:   bit 15                      0
//                    [ g+24 | g+8 | g+16 | g ]      as stored: Layout::zero has to be added
#pragma once

#include <cstdint>

#include "backends/cuda/kernel/host_device.h"

namespace ropewalk::cuda::gptq {

inline constexpr uint32_t kLanes = 32;
inline constexpr uint32_t kTileColumns = 32;
inline constexpr uint32_t kBlockRows = 32;
inline constexpr uint32_t kLaneColumns = 4;
inline constexpr uint32_t kLaneRows = 8;

// Where the zeros of a weight are: beside the scales, one or two words a column; as nibbles in
// small headers; or nowhere, since they are constant.
enum class Zeros : uint32_t { beside_scales, nibbles, constant };

struct Layout {
  uint32_t rows, cols;
  uint32_t bits;          // 2, 3, 4, 8
  uint32_t group_size;    // 1 .. rows
  uint32_t header_words;  // per column: 1: scale and zero as two f16; 2: as two f32
  Zeros zeros = Zeros::beside_scales;
  uint32_t zero = 0;  // nibbles: is added to each; constant: the zero of all columns
};

inline constexpr uint32_t kSmallScaleBytes = kTileColumns * 2, kSmallZeroBytes = kTileColumns / 2;
RW_HOST_DEVICE constexpr uint32_t small_header_bytes(Zeros zeros) {
  return kSmallScaleBytes + (zeros == Zeros::nibbles ? kSmallZeroBytes : 0);
}
RW_HOST_DEVICE constexpr uint32_t small_block_bytes(Zeros zeros) {
  return small_header_bytes(zeros) + kTileColumns * kBlockRows / 2;
}

// Calls launch.operator()<kZeros>() of a weight with small headers.
template <class Launch>
void with_zeros(const Layout& l, const Launch& launch) {
  if (l.zeros == Zeros::constant)
    launch.template operator()<Zeros::constant>();
  else
    launch.template operator()<Zeros::nibbles>();
}

RW_HOST_DEVICE uint32_t divide_up(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

RW_HOST_DEVICE uint32_t groups(const Layout& l) { return divide_up(l.rows, l.group_size); }
RW_HOST_DEVICE uint32_t column_tiles(const Layout& l) { return divide_up(l.cols, kTileColumns); }
RW_HOST_DEVICE uint32_t blocks_per_group(const Layout& l) {
  return divide_up(l.group_size, kBlockRows);
}
RW_HOST_DEVICE uint32_t blocks(const Layout& l) {
  const uint32_t full = groups(l) - 1;
  return full * blocks_per_group(l) + divide_up(l.rows - full * l.group_size, kBlockRows);
}
// Rows including the padding of blocks.
RW_HOST_DEVICE uint32_t padded_rows(const Layout& l) { return blocks(l) * kBlockRows; }

RW_HOST_DEVICE uint32_t block_words(const Layout& l) { return kLanes * l.bits; }
RW_HOST_DEVICE uint32_t group_header_words(const Layout& l) {
  return l.zeros == Zeros::beside_scales ? kTileColumns * l.header_words
                                         : small_header_bytes(l.zeros) / 4;
}
RW_HOST_DEVICE uint64_t tile_words(const Layout& l) {
  return uint64_t{groups(l)} * group_header_words(l) + uint64_t{blocks(l)} * block_words(l);
}
RW_HOST_DEVICE uint64_t total_words(const Layout& l) { return column_tiles(l) * tile_words(l); }

// The group of a block without a division, since kernels need it for every block that they read: a
// multiplication by 2^32 / blocks_per_group, rounded up. Exact while blocks * blocks_per_group
// stays below 2^32, as it does up to 2^21 rows.
RW_HOST_DEVICE uint32_t group_divisor(const Layout& l) {
  const uint32_t per = blocks_per_group(l);
  return per == 1 ? 0 : ~0u / per + 1;
}
RW_HOST_DEVICE uint32_t group_of(uint32_t divisor, uint32_t block) {
  return divisor == 0 ? block : static_cast<uint32_t>(uint64_t{block} * divisor >> 32);
}

// Whether block b holds the rows 32b, 32b + 1, ..: only the very last block is padded.
RW_HOST_DEVICE bool is_contiguous(const Layout& l) {
  return l.group_size % kBlockRows == 0 || l.group_size >= l.rows;
}

// Offsets in words from the start of the column tile.
RW_HOST_DEVICE uint64_t header_at(const Layout& l, uint32_t group) {
  return group * (group_header_words(l) + uint64_t{blocks_per_group(l)} * block_words(l));
}
RW_HOST_DEVICE uint64_t block_at(const Layout& l, uint32_t block) {
  return uint64_t{block / blocks_per_group(l) + 1} * group_header_words(l) +
         uint64_t{block} * block_words(l);
}

// Rows of the matrix in a block: [first_row, first_row + rows_of_block).
RW_HOST_DEVICE uint32_t first_row(const Layout& l, uint32_t block) {
  const uint32_t per = blocks_per_group(l);
  return block / per * l.group_size + block % per * kBlockRows;
}
RW_HOST_DEVICE uint32_t rows_of_block(const Layout& l, uint32_t block) {
  const uint32_t in_group = block % blocks_per_group(l) * kBlockRows;
  const uint32_t of_group = l.group_size - in_group, of_matrix = l.rows - first_row(l, block);
  const uint32_t rows = of_group < of_matrix ? of_group : of_matrix;
  return rows < kBlockRows ? rows : kBlockRows;
}

// Column of the tile and row of the block of a lane's code.
RW_HOST_DEVICE uint32_t column_of(uint32_t lane, uint32_t j) { return lane / 4 + 8 * j; }
RW_HOST_DEVICE uint32_t row_of(uint32_t lane, uint32_t i) { return lane % 4 * kLaneRows + i; }

// Offset of a column in a group's header: the columns g, g+8, g+16, g+24 of a lane lie side by
// side.
RW_HOST_DEVICE uint32_t header_word(const Layout& l, uint32_t column) {
  return (column % 8 * kLaneColumns + column / 8) * l.header_words;
}

// In a small header: the offset of a column's scale, counted in f16 from the start of the header,
// and the offset of bit 0 of its zero, counted in bits from the start of the zeros.
RW_HOST_DEVICE uint32_t small_scale_at(uint32_t column) {
  return column % 8 * kLaneColumns + column / 8;
}
RW_HOST_DEVICE uint32_t small_zero_bit(uint32_t column) {
  const uint32_t j = column / 8;
  return column % 8 * 16 + j % 2 * 8 + j / 2 * 4;
}

// Offset of bit 0 of a lane's code for its column j and row i in the lane's stream.
RW_HOST_DEVICE uint32_t code_bit(uint32_t bits, uint32_t j, uint32_t i) {
  if (bits == 4) return j * 32 + (i / 2 + i % 2 * 4) * 4;
  return (j * kLaneRows + i) * bits;
}

// Which of a lane's pairs of rows (2p, 2p + 1) goes into register `i` of instruction `step` (0, 1)
// of a block. Left registers 0 and 2 hold the lane's column j, 1 and 3 hold column j + 1. Right
// registers hold its row of x.
RW_HOST_DEVICE uint32_t left_pair(uint32_t step, uint32_t i) { return 2 * step + i / 2; }
RW_HOST_DEVICE uint32_t right_pair(uint32_t step, uint32_t i) { return 2 * step + i; }

// Words that a lane loads at once.
RW_HOST_DEVICE uint32_t unit_words(uint32_t bits) { return bits % 4 == 0 ? 4 : bits == 2 ? 2 : 1; }
// Offset of word `word` of a lane's stream from the start of the block.
RW_HOST_DEVICE uint32_t lane_word(uint32_t bits, uint32_t lane, uint32_t word) {
  const uint32_t unit = unit_words(bits);
  return (word / unit * kLanes + lane) * unit + word % unit;
}

}  // namespace ropewalk::cuda::gptq
