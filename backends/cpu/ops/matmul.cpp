// y = x . W + bias.
// Tasks: stretches of panels of 32 columns x blocks of rows. Each weight is unpacked to
// scale * (code - zero) in f32, and each sum runs over k = 0, 1, 2, ..., so a row's bits do not
// depend on the other rows. An instruction set with an integer product for the weight's codes
// (integers.cpp) takes it for any number of rows; x is split into integers first, a block of rows
// at a time.
// Bottleneck: for one row the memory that the weights stream from, for many rows multiply-adds.
#include <algorithm>
#include <cstring>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

constexpr uint32_t kTileRows = 128;  // of weights in f32: 16 KiB, half of a first-level cache
constexpr uint32_t kRowBlock = 128;  // rows of x that share a tile
constexpr uint32_t kFewRows = 16;
constexpr uint32_t kTasksOfLane = 8;  // at least: threads may not run at the same speed
constexpr uint64_t kStretchBytes = 1 << 20;

struct Job {
  const Matmul& op;
  const Kernels& kernels;
  const PackedHeader& header;
  const PackedShape& shape;
  const std::byte* panel;
  uint32_t first_row, rows;
  const IntegerBlock* integers;  // (blocks, rows): these rows of x; null: the product is in f32
  float* sum;                    // (rows, 32)

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

// Calls multiply(runs, their first row) for the groups of a panel, of which the last may have fewer
// rows.
template <class Multiply>
void for_each_run(const Job& job, const Multiply& multiply) {
  const uint32_t size = job.header.group_size, whole = job.op.depth / size;
  if (whole > 0) multiply(CodeRuns{run_of(job, 0, 0, size), whole, job.shape.group_bytes}, 0u);
  if (const uint32_t rows = job.op.depth % size)
    multiply(CodeRuns{run_of(job, whole, 0, rows), 1, 0}, whole * size);
}

void multiply_integers(const Job& job) {
  const auto multiply = job.kernels.integers->multiply[job.header.bits];
  for_each_run(job, [&](const CodeRuns& runs, uint32_t first) {
    const uint32_t blocks = first / job.header.group_size * blocks_of(job.header.group_size);
    multiply(runs, job.integers + uint64_t{blocks} * job.rows, job.rows, job.sum);
  });
}

// Few rows: groups are unpacked and multiplied in registers.
void multiply_few(const Job& job) {
  const CodeKernel multiply = job.kernels.multiply_codes[job.header.bits].of_rows[job.rows];
  for_each_run(job, [&](const CodeRuns& runs, uint32_t first) {
    multiply(runs, job.x(first), job.op.depth, job.sum);
  });
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

void multiply(const Job& job) {
  std::fill_n(job.sum, job.rows * kPanel, 0.0f);
  if (job.header.dtype != abi::DType::gptq)
    multiply_dense(job);
  else if (job.integers)
    multiply_integers(job);
  else if (job.rows <= job.kernels.code_rows)
    multiply_few(job);
  else
    multiply_many(job);
}

bool has_integer_product(abi::DType dtype, uint32_t bits, const Kernels& kernels) {
  return dtype == abi::DType::gptq && kernels.integers && kernels.integers->multiply[bits];
}

// Panels of a task. For few rows a task reads a stretch of memory: of a panel by itself a processor
// fetches ahead past its end and then begins anew elsewhere, at half the bandwidth.
uint32_t stretch_of(const PackedShape& shape, uint32_t rows, uint32_t lanes) {
  if (rows > kFewRows) return 1;
  const uint64_t shared = shape.panels / (kTasksOfLane * lanes);
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(kStretchBytes / shape.panel_bytes, 1, std::max<uint64_t>(shared, 1)));
}

uint32_t blocks_of_row(uint32_t depth, uint32_t group_size) {
  return depth / group_size * blocks_of(group_size) + blocks_of(depth % group_size);
}

}  // namespace

uint64_t matmul_workspace(const abi::Tensor& weight, uint32_t rows, const Kernels& kernels) {
  if (!has_integer_product(weight.dtype, weight.bits, kernels)) return 0;
  return uint64_t{std::min(rows, kRowBlock)} * blocks_of_row(weight.dim[0], weight.group_size) *
         sizeof(IntegerBlock) / sizeof(float);
}

bool split_alike(const abi::Tensor& a, const abi::Tensor& b, const Kernels& kernels) {
  return has_integer_product(a.dtype, a.bits, kernels) &&
         has_integer_product(b.dtype, b.bits, kernels) && a.group_size == b.group_size;
}

void matmul(const Matmul& op, const Frame& frame) noexcept {
  PackedHeader header;
  std::memcpy(&header, op.weight, sizeof header);
  const PackedShape shape(header);
  const uint32_t rows = frame.rows(op.extent);
  // Rows [first, first + count): all at once, or those of which the workspace holds the integers.
  const auto run = [&](uint32_t first, uint32_t count, const IntegerBlock* integers) {
    const uint32_t row_blocks = (count + kRowBlock - 1) / kRowBlock;
    const uint32_t stretch = stretch_of(shape, count, frame.pool.lanes());
    const uint32_t stretches = (shape.panels + stretch - 1) / stretch;
    const double cost = static_cast<double>(op.depth) * op.width * (0.2 + 0.04 * count);
    frame.pool.run(stretches * row_blocks, cost, [&](uint32_t task, uint32_t) noexcept {
      alignas(64) float sum[kRowBlock * kPanel];
      const uint32_t begin = task / row_blocks * stretch, later = task % row_blocks * kRowBlock;
      for (uint32_t panel = begin; panel < std::min(begin + stretch, shape.panels); ++panel) {
        const Job job{op,
                      frame.kernels,
                      header,
                      shape,
                      op.weight + kHeaderBytes + panel * shape.panel_bytes,
                      first + later,
                      std::min(kRowBlock, count - later),
                      integers,
                      sum};
        multiply(job);
        store(job, panel);
      }
    });
  };
  if (!has_integer_product(header.dtype, header.bits, frame.kernels)) return run(0, rows, nullptr);

  auto* integers = reinterpret_cast<IntegerBlock*>(frame.workspace);
  for (uint32_t first = 0; first < rows; first += kRowBlock) {
    const uint32_t count = std::min(kRowBlock, rows - first);
    const auto split = [&](uint32_t r, uint32_t) noexcept {
      frame.kernels.integers->split(op.x + uint64_t{first + r} * op.depth, op.depth,
                                    header.group_size, integers + r, count);
    };
    if (!op.x_is_split || rows > kRowBlock) frame.pool.run(count, 0.4 * op.depth * count, split);
    run(first, count, integers);
  }
}

}  // namespace ropewalk::cpu
