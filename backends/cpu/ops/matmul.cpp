// y = x . W + bias.
// Tasks: panels of 32 columns x blocks of rows. Each weight is unpacked to scale * (code - zero) in
// f32, and each sum runs over k = 0, 1, 2, ..., so a row's bits do not depend on the other rows.
// Bottleneck: for one row the memory that the weights stream from, for many rows multiply-adds.
#include <algorithm>
#include <cstring>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

constexpr uint32_t kTileRows = 128;  // of weights in f32: 16 KiB, half of a first-level cache
constexpr uint32_t kRowBlock = 128;  // rows of x that share a tile

struct Job {
  const Matmul& op;
  const Kernels& kernels;
  const PackedHeader& header;
  const PackedShape& shape;
  const std::byte* panel;
  uint32_t first_row, rows;
  float* sum;  // (rows, 32)

  const float* x(uint32_t k) const { return op.x + uint64_t{first_row} * op.depth + k; }
  // Rows [k, k + depth) of the weight.
  Product product(const void* weights, uint32_t k, uint32_t depth) const {
    return {sum, x(k), weights, kPanel, op.depth, kPanel, rows, depth, kPanel};
  }
};

void multiply_dense(const Job& job) {
  const Kernels& kernels = job.kernels;
  const bool is_bf16 = job.header.dtype == abi::DType::bf16;
  if (job.header.dtype == abi::DType::f32)
    return kernels.multiply(job.product(job.panel, 0, job.op.depth));
  if (job.rows <= kProductRows)
    return (is_bf16 ? kernels.multiply_bf16
                    : kernels.multiply_f16)(job.product(job.panel, 0, job.op.depth));

  alignas(64) float tile[kTileRows * kPanel];
  for (uint32_t k = 0; k < job.op.depth; k += kTileRows) {
    const uint32_t depth = std::min(kTileRows, job.op.depth - k);
    const std::byte* stored = job.panel + uint64_t{k} * kPanel * 2;
    (is_bf16 ? kernels.widen_bf16 : kernels.widen_f16)(stored, tile, depth * kPanel);
    kernels.multiply(job.product(tile, k, depth));
  }
}

// Rows [first, first + rows) of a group; `first` begins a block.
CodeRun run_of(const Job& job, uint32_t group, uint32_t first, uint32_t rows) {
  const std::byte* at = job.panel + group * job.shape.group_bytes;
  const std::byte* codes = at + job.shape.scale_bytes + job.shape.zero_bytes;
  return {reinterpret_cast<const uint32_t*>(codes) + first * job.header.bits, at,
          at + job.shape.scale_bytes,
          job.header.scale_dtype == abi::DType::f32 ? ScaleType::f32 : ScaleType::f16, rows};
}

// Few rows: groups are unpacked and multiplied in registers. The last one may have fewer rows.
void multiply_few(const Job& job) {
  const CodeKernel multiply = job.kernels.multiply_codes[job.header.bits].of_rows[job.rows];
  const uint32_t size = job.header.group_size, whole = job.op.depth / size;
  if (whole > 0)
    multiply({run_of(job, 0, 0, size), whole, job.shape.group_bytes}, job.x(0), job.op.depth,
             job.sum);
  if (const uint32_t rows = job.op.depth % size)
    multiply({run_of(job, whole, 0, rows), 1, 0}, job.x(whole * size), job.op.depth, job.sum);
}

// Many rows: groups are unpacked into a tile until it is full, then it is multiplied.
void multiply_many(const Job& job) {
  alignas(64) float tile[kTileRows * kPanel];
  uint32_t tile_k = 0, filled = 0;  // the tile holds rows [tile_k, tile_k + filled)
  for (uint32_t group = 0; group < job.shape.groups; ++group) {
    const uint32_t begin = group * job.header.group_size;
    const uint32_t rows = std::min(job.header.group_size, job.op.depth - begin);
    for (uint32_t first = 0; first < rows; first += kTileRows) {
      const uint32_t depth = std::min(kTileRows, rows - first);
      if (filled + depth > kTileRows) {
        job.kernels.multiply(job.product(tile, tile_k, filled));
        tile_k += filled;
        filled = 0;
      }
      job.kernels.unpack[job.header.bits](run_of(job, group, first, depth), tile + filled * kPanel);
      filled += depth;
    }
  }
  job.kernels.multiply(job.product(tile, tile_k, filled));
}

// y = sum + bias, without the padding of the last panel.
void store(const Job& job, uint32_t panel) {
  const uint32_t column = panel * kPanel, count = std::min(kPanel, job.op.width - column);
  for (uint32_t r = 0; r < job.rows; ++r) {
    float* y = job.op.y + uint64_t{job.first_row + r} * job.op.width + column;
    for (uint32_t n = 0; n < count; ++n)
      y[n] = job.sum[r * kPanel + n] + (job.op.bias ? job.op.bias[column + n] : 0.0f);
  }
}

}  // namespace

void matmul(const Matmul& op, const Frame& frame) noexcept {
  PackedHeader header;
  std::memcpy(&header, op.weight, sizeof header);
  const PackedShape shape(header);
  const uint32_t rows = frame.rows(op.extent);
  const uint32_t row_blocks = (rows + kRowBlock - 1) / kRowBlock;
  const double cost = static_cast<double>(op.depth) * op.width * (0.2 + 0.04 * rows);
  frame.pool.run(shape.panels * row_blocks, cost, [&](uint32_t task, uint32_t) noexcept {
    alignas(64) float sum[kRowBlock * kPanel];
    const uint32_t panel = task / row_blocks, first = task % row_blocks * kRowBlock;
    const Job job{op,
                  frame.kernels,
                  header,
                  shape,
                  op.weight + kHeaderBytes + panel * shape.panel_bytes,
                  first,
                  std::min(kRowBlock, rows - first),
                  sum};
    std::fill_n(sum, job.rows * kPanel, 0.0f);
    if (header.dtype != abi::DType::gptq)
      multiply_dense(job);
    else if (job.rows <= frame.kernels.code_rows)
      multiply_few(job);
    else
      multiply_many(job);
    store(job, panel);
  });
}

}  // namespace ropewalk::cpu
