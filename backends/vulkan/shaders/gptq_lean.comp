#version 460
// y = x . W + bias for 1 to 8 rows of x and codes of 4 bits, in integers: a code times a plane of
// planes.glsl, four at a time. The sums of a block are exact, so its error is that of x alone, 2^-15 of the
// block's maximum at most. Per block of 32 rows, with q the whole numbers of x:
//
//   sum over k of x[k] * scale * (code[k] - zero)  =  scale * x_scale * (sum of q[k] * code[k] - zero * sum of q)
//
// Grid: (columns / lanes, 1). Each subgroup of a workgroup takes a share of the blocks for the same columns;
// their sums are added in the order of the shares. What depends on the block alone is the same for a
// subgroup, so x comes by scalar loads. Bottleneck: the memory that W streams from, each word once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_spirv_intrinsics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "common.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kSlices = 8;
layout(constant_id = 9) const uint kBlocksAhead = 4;  // that are loaded before the first is used
layout(constant_id = 10) const uint kLanes = 32;      // of a subgroup
#include "weights.glsl"

// OpSDotAccSat of SPV_KHR_integer_dot_product, with operands of four packed bytes.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4453)
int dot4(int a, int b, int sum, spirv_literal int packed_format);

layout(buffer_reference, std430, buffer_reference_align = 16) restrict readonly buffer Quad { uvec4 of; };

shared float parts[kSlices > 1 ? kSlices * kRows * kLanes : 1];

// Scale and zero.
vec2 scale_of(uint64_t group, uint column) {
  const uint64_t at = uint64_t(scales) + group * width * (kWideScales != 0 ? 8 : 4);
  if (kWideScales != 0) return uintBitsToFloat(uvec2(Word(at + column * 8).of, Word(at + column * 8 + 4).of));
  return unpackHalf2x16(Word(at + column * 4).of);
}

void main() {
  const uint rows = row_count(step, over_wanted);
  if (rows == 0) return;
  const uint slice = gl_SubgroupID, lane = gl_SubgroupInvocationID;
  const uint first_column = gl_WorkGroupID.x * kLanes + lane, column = min(first_column, width - 1);
  const uint share = (blocks + kSlices - 1) / kSlices;
  const uint begin = min(slice * share, blocks), end = min(begin + share, blocks);
  const uint64_t row_bytes = uint64_t(blocks) * 80;
  float sum[kRows];
  [[unroll]] for (uint r = 0; r < kRows; ++r) sum[r] = 0;

  for (uint first = begin; first < end; first += kBlocksAhead) {
    // load
    uvec4 code[kBlocksAhead];
    vec2 scale[kBlocksAhead];
    [[unroll]] for (uint i = 0; i < kBlocksAhead; ++i) {
      const uint block = min(first + i, end - 1);
      code[i] = Quad(uint64_t(codes) + uint64_t(block) * (width * 16) + column * 16).of;
      scale[i] = scale_of(group_of(block), column);
    }
    // multiply
    [[unroll]] for (uint i = 0; i < kBlocksAhead; ++i) {
      if (first + i >= end) break;
      int even[4], odd[4];  // codes of the rows 0 2 4 6 and 1 3 5 7 of each word
      [[unroll]] for (uint w = 0; w < 4; ++w) {
        even[w] = int(code[i][w] & 0x0f0f0f0fu);
        odd[w] = int(code[i][w] >> 4 & 0x0f0f0f0fu);
      }
      [[unroll]] for (uint r = 0; r < kRows; ++r) {
        const uint64_t at = uint64_t(x_prepared) + min(r, rows - 1) * row_bytes + uint64_t(first + i) * 80;
        const uvec4 tail = Quad(at + 64).of;
        int high = 0, low = 0;
        [[unroll]] for (uint w = 0; w < 4; ++w) {
          const uvec4 plane = Quad(at + w * 16).of;
          high = dot4(even[w], int(plane.x), high, 0);
          high = dot4(odd[w], int(plane.y), high, 0);
          low = dot4(even[w], int(plane.z), low, 0);
          low = dot4(odd[w], int(plane.w), low, 0);
        }
        const float whole = fma(-scale[i].y, uintBitsToFloat(tail.y), float((high << 8) + low));
        sum[r] = fma(scale[i].x * uintBitsToFloat(tail.x), whole, sum[r]);
      }
    }
  }

  // share the slices' sums
  if (kSlices > 1) {
    [[unroll]] for (uint r = 0; r < kRows; ++r) parts[(slice * kRows + r) * kLanes + lane] = sum[r];
    barrier();
  }
  // add them up and store, a row a subgroup
  [[unroll]] for (uint r = 0; r < kRows; ++r) {
    if (slice != r % kSlices) continue;
    float all = kSlices > 1 ? parts[r * kLanes + lane] : sum[r];
    for (uint s = 1; s < kSlices; ++s) all += parts[(s * kRows + r) * kLanes + lane];
    if (r < rows && first_column < width) store(r, first_column, all);
  }
}
