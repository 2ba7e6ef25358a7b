// tiling.h — how a matrix product is divided among invocations: which shader, with which constants.
#pragma once

#include "backends/vulkan/device/features.h"
#include "backends/vulkan/device/pack.h"
#include "backends/vulkan/program/pipelines.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

// What a product reads instead of x: what x_to_f16.comp or x_to_i8.comp made of it.
enum class PreparedX : uint32_t { none, f16, i8 };

// The shape of a workgroup, lanes x tiles x slices, and of what each invocation computes.
struct Tiling {
  const Shader* shader;
  uint32_t lanes;         // columns side by side
  uint32_t tiles;         // of rows of x
  uint32_t slices;        // of the sum over the rows of W
  uint32_t rows;          // of x, per invocation
  uint32_t columns;       // of W, per invocation
  uint32_t blocks_ahead;  // blocks that are loaded before the first is used (gptq_matvec, _lean)
  PreparedX x = PreparedX::none;
  uint32_t subgroup = 0;    // invocations of one (gptq_lean)
  bool splits_rows = true;  // a dispatch may take some of the rows
  uint32_t splits = 1;      // workgroups that share the sum of a column (gptq_lean_split)
  uint32_t across = 0;      // gptq_matrix: lanes are those of a subgroup, tiles are subgroups below
                            // one another and these lie side by side; rows, columns: of each

  uint32_t tile_rows() const { return tiles * rows; }
  uint32_t tile_columns() const { return (across ? across : lanes) * columns; }
  uint32_t invocations() const { return lanes * tiles * slices * (across ? across : 1); }
};

Tiling tiling_of(const Features& features, const PackedShape& weight, uint32_t width,
                 uint32_t rows);

// Of a product that takes x itself, its columns in another order: where is_planed(). It does where
// the device has what that needs, for one row or two.
Tiling planed_tiling(const Features& features, const PackedShape& weight, uint32_t width,
                     uint32_t rows);

// Whether the shader shall normalise x itself. It does where it can: where the device has what
// that needs, for one row or two.
enum class Norm { outside, inside };

// Of two products of one x and a gate between them: where is_gated(), both at once.
Tiling gated_tiling(const Features& features, const PackedShape& weight, uint32_t width,
                    uint32_t rows, Norm norm);

// Of three products of one x whose columns are heads.
struct QkvTiling {
  Tiling product;
  uint32_t heads_across;  // of a workgroup; 0: the products are three dispatches
};
QkvTiling qkv_tiling(const Features& features, const PackedShape& weight, uint32_t head_dim,
                     uint32_t rows, Norm norm);

// A kernel that multiplies as products of a prompt do, from registers: their ceiling.
struct RateKernel {
  const Shader& shader;
  Constants constants;
  double flop;  // of a workgroup and round, counted as those of the product
};
RateKernel rate_kernel_of(const Features& features);

bool is_matrix(const Tiling& tiling);
bool is_lean(const Tiling& tiling);   // of 1 to 8 rows
bool is_split(const Tiling& tiling);  // its workgroups may share sums
bool is_gated(const Tiling& tiling);
bool is_planed(const Tiling& tiling);
bool is_normed(const Tiling& tiling);

// Specialisation constants of weights.glsl and of the shader; `epilogue` is Epilogue::Kind's.
Constants constants_of(const Tiling& tiling, const PackedShape& weight, uint32_t epilogue);

// The bytes of x for `blocks` blocks of each row; f16 ends with a scale a row.
uint64_t prepared_bytes(PreparedX kind, uint64_t blocks, uint64_t rows);
// Of the workspace, for a product of up to `rows` rows.
uint64_t prepared_workspace(const abi::Tensor& weight, uint32_t rows, const Features& features);

// What a product needs whose workgroups share sums: a counter for each part of the columns, and
// bytes for the sums. Nothing of either for others.
struct SplitSize {
  uint32_t counters = 0;
  uint64_t bytes = 0;
};
SplitSize split_size_of(const Tiling& tiling, uint32_t width);
SplitSize split_size(const abi::Tensor& weight, uint32_t rows, const Features& features);

}  // namespace ropewalk::vulkan
