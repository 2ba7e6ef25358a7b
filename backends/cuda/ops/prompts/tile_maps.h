// tile_maps.h — which rows, keys and dimensions a lane of attention_tiles.cu, or of
// attention_wgmma.cu, holds in its fragments, as functions of indices. mma.cuh draws the fragments.
//
// Scores (16 rows, 8 keys) = queries (16, 16 dimensions) . keys (16 dimensions, 8); values
// (16 rows, 8 dimensions) = weights (16, 16 keys) . values (16 keys, 8 dimensions).
#pragma once

#include <cstdint>

#include "backends/cuda/kernel/host_device.h"

namespace ropewalk::cuda {

// Register i of the queries, dimensions 16k ..: a pair of dimensions of one of the warp's rows.
RW_HOST_DEVICE uint32_t query_row(uint32_t lane, uint32_t i) { return lane / 4 + i % 2 * 8; }
RW_HOST_DEVICE uint32_t query_dim(uint32_t lane, uint32_t k, uint32_t i) {
  return k * 16 + lane % 4 * 2 + i / 2 * 8;
}

// The address that a lane passes to load_matrices(): 8 dimensions of a key. The four matrices are
// the keys 8n .. 8n+7, dimensions 32k .. 32k+31, for two instructions.
RW_HOST_DEVICE uint32_t key_row(uint32_t lane, uint32_t n) { return n * 8 + lane % 8; }
RW_HOST_DEVICE uint32_t key_dim(uint32_t lane, uint32_t k) { return k * 32 + lane / 8 * 8; }

// Score i of the keys 8n .. . As the left operand of the values, pair i of the keys 16k .. consists
// of the scores [2k + i / 2][i % 2 * 2 ..].
RW_HOST_DEVICE uint32_t score_row(uint32_t lane, uint32_t i) { return lane / 4 + i / 2 * 8; }
RW_HOST_DEVICE uint32_t score_key(uint32_t lane, uint32_t n, uint32_t i) {
  return n * 8 + lane % 4 * 2 + i % 2;
}
RW_HOST_DEVICE uint32_t weight_tile(uint32_t k, uint32_t i) { return 2 * k + i / 2; }
RW_HOST_DEVICE uint32_t weight_pair(uint32_t i) { return i % 2 * 2; }

// The address that a lane passes to load_transposed(): 8 dimensions of a value. The four matrices
// are the keys 16k .. 16k+15, dimensions 16n .. 16n+15, for two instructions.
RW_HOST_DEVICE uint32_t value_row(uint32_t lane, uint32_t k) { return k * 16 + lane % 16; }
RW_HOST_DEVICE uint32_t value_dim(uint32_t lane, uint32_t n) { return n * 16 + lane / 16 * 8; }

// Sums i and i + 1 of the dimensions 8n .., i = 0 or 2: a pair of dimensions of row score_row(i).
RW_HOST_DEVICE uint32_t output_dim(uint32_t lane, uint32_t n) { return n * 8 + lane % 4 * 2; }

}  // namespace ropewalk::cuda
