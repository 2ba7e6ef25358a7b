// stream.cuh — how a warp reads a column tile of packed codes, block of K after block of K, and
// turns the codes into fragments for the tensor cores.
#pragma once

#include <cstdint>

#include "backends/cuda/gptq/header.cuh"
#include "backends/cuda/gptq/layout.h"
#include "backends/cuda/gptq/product.h"
#include "backends/cuda/gptq/unpack.cuh"
#include "backends/cuda/kernel/mma.cuh"

namespace ropewalk::cuda::gptq {

// Blocks of K [begin, end).
struct BlockSpan {
  uint32_t begin, end;
};

// kHeaderWords is that of the layout, or 0 where the layout decides at run time, which includes
// small headers. A second word of a column is only loaded when its block is multiplied: loaded
// ahead it would occupy registers that are rarely needed.
template <uint32_t kBits, uint32_t kHeaderWords>
class Stream {
 public:
  // A block as loaded from memory; it can be in flight while another one is multiplied.
  struct Block {
    uint32_t words[kBits];
    uint4 header;
  };

  __device__ __forceinline__ Stream(const Part& part, uint32_t tile)
      : begin_(reinterpret_cast<const uint32_t*>(part.weight) + tile * tile_words(part.layout)),
        divisor_(group_divisor(part.layout)),
        header_words_(part.layout.header_words),
        group_words_(group_header_words(part.layout)),
        blocks_per_group_(blocks_per_group(part.layout)),
        zeros_(part.layout.zeros),
        zero_(part.layout.zero) {}

  // Addresses as layout.h's header_at() and block_at() give them, without their divisions.
  __device__ __forceinline__ void load(uint32_t block, Block& to) const {
    const uint32_t group = group_of(divisor_, block);
    load_codes<kBits>(begin_ + (group + 1) * group_words_ + block * kLanes * kBits,
                      threadIdx.x % 32, to.words);
    to.header =
        is_small() ? load_small_header(begin_ + header_at(group), zeros_) : __ldg(header_of(group));
  }

  __device__ __forceinline__ Header header(uint32_t block, const Block& loaded) const {
    if (is_small()) return decode_small(loaded.header, zero_);
    if (header_words() == 1) return decode_f16(loaded.header);
    return decode_f32(loaded.header, __ldg(header_of(group_of(divisor_, block)) + 1));
  }

 private:
  __device__ __forceinline__ uint32_t header_words() const {
    return kHeaderWords == 0 ? header_words_ : kHeaderWords;
  }
  __device__ __forceinline__ bool is_small() const {
    return kBits == 4 && kHeaderWords == 0 && zeros_ != Zeros::beside_scales;
  }
  __device__ __forceinline__ uint32_t header_at(uint32_t group) const {
    return group * (group_words_ + blocks_per_group_ * kLanes * kBits);
  }
  // Header of the calling lane's columns.
  __device__ __forceinline__ const uint4* header_of(uint32_t group) const {
    return reinterpret_cast<const uint4*>(begin_ + header_at(group)) +
           threadIdx.x % 32 / 4 * header_words();
  }

  const uint32_t* begin_;
  uint32_t divisor_, header_words_, group_words_, blocks_per_group_;
  Zeros zeros_;
  uint32_t zero_;
};

// The left fragments of the lane's columns 2p and 2p + 1, one for each instruction of a block.
template <uint32_t kBits>
__device__ __forceinline__ void left_of(const uint32_t (&words)[kBits], const Zero (&zero)[2],
                                        uint32_t p, uint32_t (&left)[2][4]) {
  __half2 column[2][4];
  unpack<kBits>(words, 2 * p, zero[0], column[0]);
  unpack<kBits>(words, 2 * p + 1, zero[1], column[1]);
#pragma unroll
  for (uint32_t i = 0; i < 8; ++i)
    left[i / 4][i % 4] = bits_of(column[i % 2][left_pair(i / 4, i % 4)]);
}

// Adds the products of a block of K for columns 2p and 2p + 1 and a tile of rows. `x` is the lane's
// fragment of the tile's rows.
__device__ __forceinline__ void add_tile(const uint32_t (&left)[2][4], const uint4& x,
                                         float (&sums)[4]) {
  const uint32_t pairs[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
  for (uint32_t step = 0; step < 2; ++step) {
    const uint32_t right[2] = {pairs[right_pair(step, 0)], pairs[right_pair(step, 1)]};
    multiply_add(sums, left[step], right);
  }
}
// The products alone, without the scales.
__device__ __forceinline__ void multiply_tile(const uint32_t (&left)[2][4], const uint4& x,
                                              float (&part)[4]) {
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) part[i] = 0.0f;
  add_tile(left, x, part);
}

}  // namespace ropewalk::cuda::gptq
