// Lays a stored GPTQ weight out in tiles. One kernel for the codes, a thread a lane's share of a
// block; one for scales and zeros, a thread a column of a group. Bottleneck: the scattered reads of
// the row order, which caches soften, and the copy from the host, which takes longer.
#include <cuda_fp16.h>

#include "backends/cuda/gptq/pack.h"

namespace ropewalk::cuda::gptq {
namespace {

constexpr uint32_t kThreads = 128;

// Code `index` of the bit stream words[0], words[stride], ...: gptq_code() of core/abi/weight.h.
__device__ uint32_t stored_code(const uint32_t* words, uint64_t stride, uint32_t bits,
                                uint64_t index) {
  const uint64_t bit = index * bits;
  const uint32_t shift = static_cast<uint32_t>(bit % 32);
  const uint32_t low = words[bit / 32 * stride];
  const uint32_t high = shift + bits > 32 ? words[(bit / 32 + 1) * stride] : 0;
  return __funnelshift_r(low, high, shift) & ((1u << bits) - 1);
}

__device__ uint32_t stored_column(const Stored& from, uint32_t column) {
  return from.column_order ? from.column_order[column] : column;
}

__global__ void pack_codes(const Stored from, const Layout l, uint32_t* to) {
  const uint64_t share = uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  const uint32_t lane = static_cast<uint32_t>(share % kLanes);
  const uint32_t block = static_cast<uint32_t>(share / kLanes % blocks(l));
  const uint64_t tile = share / kLanes / blocks(l);
  if (tile >= column_tiles(l)) return;
  uint32_t words[8] = {};
  for (uint32_t j = 0; j < kLaneColumns; ++j) {
    const uint32_t n = static_cast<uint32_t>(tile) * kTileColumns + column_of(lane, j);
    if (n >= l.cols) continue;
    const uint32_t* column = from.qweight + stored_column(from, n);
    for (uint32_t i = 0; i < kLaneRows; ++i) {
      const uint32_t in_block = row_of(lane, i);
      if (in_block >= rows_of_block(l, block)) continue;
      const uint32_t k = first_row(l, block) + in_block;
      const uint32_t row = from.row_order ? from.row_order[k] : k;
      const uint64_t code = stored_code(column, l.cols, l.bits, row);
      const uint32_t bit = code_bit(l.bits, j, i);
      words[bit / 32] |= static_cast<uint32_t>(code << bit % 32);
      if (bit % 32 + l.bits > 32)
        words[bit / 32 + 1] |= static_cast<uint32_t>(code >> (32 - bit % 32));
    }
  }
  uint32_t* at = to + tile * tile_words(l) + block_at(l, block);
  for (uint32_t word = 0; word < l.bits; ++word) at[lane_word(l.bits, lane, word)] = words[word];
}

// Columns that fill the last tile up get scale 0.
__global__ void pack_headers(const Stored from, const Layout l, uint32_t* to) {
  const uint64_t i = uint64_t{blockIdx.x} * kThreads + threadIdx.x;
  const uint32_t in_tile = static_cast<uint32_t>(i % kTileColumns);
  const uint32_t group = static_cast<uint32_t>(i / kTileColumns % groups(l));
  const uint64_t tile = i / kTileColumns / groups(l);
  if (tile >= column_tiles(l)) return;
  const uint32_t n = static_cast<uint32_t>(tile) * kTileColumns + in_tile;
  uint32_t* at = to + tile * tile_words(l) + header_at(l, group) + header_word(l, in_tile);
  uint32_t zero = 0;
  uint64_t place = 0;
  if (n < l.cols) {
    const uint32_t column = stored_column(from, n);
    const uint64_t zero_words = (uint64_t{l.cols} * l.bits + 31) / 32;
    zero = stored_code(from.qzeros + group * zero_words, 1, l.bits, column) + from.zero_offset;
    place = uint64_t{group} * l.cols + column;
  }
  if (from.scale_type == ScaleType::f32) {
    at[0] = n < l.cols ? reinterpret_cast<const uint32_t*>(from.scales)[place] : 0;
    at[1] = __float_as_uint(static_cast<float>(zero));
  } else {
    const uint32_t scale = n < l.cols ? reinterpret_cast<const uint16_t*>(from.scales)[place] : 0;
    at[0] = scale | uint32_t{__half_as_ushort(__uint2half_rn(zero))} << 16;
  }
}

}  // namespace

void pack(const Stored& from, const Layout& l, uint32_t* to, cudaStream_t stream) {
  const auto grid = [](uint64_t threads) {
    return static_cast<uint32_t>((threads + kThreads - 1) / kThreads);
  };
  const uint64_t shares = uint64_t{column_tiles(l)} * blocks(l) * kLanes;
  pack_codes<<<grid(shares), kThreads, 0, stream>>>(from, l, to);
  const uint64_t columns = uint64_t{column_tiles(l)} * groups(l) * kTileColumns;
  pack_headers<<<grid(columns), kThreads, 0, stream>>>(from, l, to);
}

}  // namespace ropewalk::cuda::gptq
