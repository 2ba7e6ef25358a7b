// tiling.h — how a matrix product is divided among invocations: which shader, with which constants.
#pragma once

#include "backends/vulkan/device/features.h"
#include "backends/vulkan/device/pack.h"
#include "backends/vulkan/program/pipelines.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

// The shape of a workgroup, lanes x tiles x slices, and of what each invocation computes.
struct Tiling {
  const Shader* shader;
  uint32_t lanes;           // columns side by side
  uint32_t tiles;           // of rows of x
  uint32_t slices;          // of the sum over the rows of W
  uint32_t rows;            // of x, per invocation
  uint32_t columns;         // of W, per invocation
  uint32_t blocks_ahead;    // blocks that are loaded before the first is used (gptq_matvec)
  uint32_t x_f16;           // x is what x_to_f16.comp made of it
  bool splits_rows = true;  // a dispatch may take some of the rows

  uint32_t tile_rows() const { return tiles * rows; }
  uint32_t tile_columns() const { return lanes * columns; }
};

Tiling tiling_of(const Features& features, const PackedShape& weight, uint32_t width,
                 uint32_t rows);

// Specialisation constants of weights.glsl and of the shader; `epilogue` is Epilogue::Kind's.
Constants constants_of(const Tiling& tiling, const PackedShape& weight, uint32_t epilogue);

// Whether x of such a product is converted to f16 first, and the bytes of that: blocks and scales.
bool uses_x_f16(const Features& features, abi::DType weight, uint32_t rows);
uint64_t x_f16_bytes(uint64_t blocks, uint64_t rows);
uint64_t x_f16_workspace(const abi::Tensor& weight, uint32_t rows, const Features& features);

}  // namespace ropewalk::vulkan
