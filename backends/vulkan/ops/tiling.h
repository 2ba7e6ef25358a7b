// tiling.h — how a matrix product is cut into invocations: which shader, with which constants.
#pragma once

#include "backends/vulkan/features.h"
#include "backends/vulkan/pack.h"
#include "backends/vulkan/pipelines.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

struct Tiling {
  const Shader* shader;
  uint32_t lanes;         // columns beside one another
  uint32_t tiles;         // of rows
  uint32_t slices;        // of the sum
  uint32_t rows;          // of x, of an invocation
  uint32_t columns;       // of an invocation
  uint32_t at_once;       // blocks that an invocation loads before it uses the first (gptq_matvec)
  uint32_t half_x;        // x is what half_rows.comp made of it
  bool cuts_rows = true;  // a dispatch may take some rows alone

  uint32_t tile_rows() const { return tiles * rows; }
  uint32_t tile_columns() const { return lanes * columns; }
};

Tiling tiling_of(const Features& features, const PackedShape& weight, uint32_t width,
                 uint32_t rows);

// Specialisation constants of weights.glsl and of the shader; `epilogue` is Epilogue::Kind's.
Constants constants_of(const Tiling& tiling, const PackedShape& weight, uint32_t epilogue);

// Whether x of such a product is made f16 first, and the bytes of that: its blocks and scales.
bool takes_half_rows(const Features& features, abi::DType weight, uint32_t rows);
uint64_t half_rows_bytes(uint64_t blocks, uint64_t rows);
uint64_t half_rows_workspace(const abi::Tensor& weight, uint32_t rows, const Features& features);

}  // namespace ropewalk::vulkan
