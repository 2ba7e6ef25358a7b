#include "backends/cuda/gptq/large_batch/matmul.h"

#include <algorithm>

#include "backends/cuda/gptq/large_batch/dequantise.h"
#include "backends/cuda/gptq/x_to_f16.h"
#include "core/abi/workspace.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;

constexpr uint64_t kAlignment = 256;

bool is_pair(const Product& p) { return p.epilogue == Epilogue::silu_mul && p.parts == 2; }

}  // namespace

void LargeBatchNeeds::include(const LargeBatchNeeds& other) {
  x = std::max(x, other.x);
  scales = std::max(scales, other.scales);
  sums = std::max(sums, other.sums);
  heads = std::max(heads, other.heads);
  slice = std::max(slice, other.slice);
}

LargeBatchNeeds::Offsets LargeBatchNeeds::offsets() const {
  abi::WorkspaceCursor cursor(kAlignment);
  Offsets at{};
  at.cublas = cursor.place(Cublas::kWorkspaceBytes);
  at.x = cursor.place(x);
  at.scales = cursor.place(scales);
  at.sums = cursor.place(sums);
  at.heads = cursor.place(heads);
  at.slices = cursor.place(2 * slice);
  at.end = cursor.end();
  return at;
}

uint64_t LargeBatchNeeds::total() const { return x ? offsets().end : 0; }

LargeBatchPointers LargeBatchNeeds::pointers(std::byte* begin) const {
  const Offsets at = offsets();
  return {begin + at.cublas, begin + at.x,     begin + at.scales,
          begin + at.sums,   begin + at.heads, begin + at.slices};
}

LargeBatchNeeds LargeBatchMatmul::needs(const Product& p, DType dtype, uint32_t rows,
                                        const Target& target) {
  LargeBatchNeeds needs;
  needs.x = uint64_t{rows} * gptq::padded_rows(p.part[0].layout) * 2;
  needs.scales = uint64_t{rows} * 4;
  uint64_t width = 0;
  for (uint32_t i = 0; i < p.parts; ++i) {
    const gptq::Layout& l = p.part[i].layout;
    const uint64_t columns = columns_at_once(l, dtype, rows, target);
    needs.sums = std::max(needs.sums, rows * columns * 4 * (is_pair(p) ? 2 : 1));
    if (dtype == DType::gptq)
      needs.slice =
          std::max(needs.slice, abi::align_up(columns * gptq::padded_rows(l) * 2, kAlignment));
    width += l.cols;
  }
  if (p.epilogue == Epilogue::rope_append) needs.heads = rows * width * 4;
  return needs;
}

LargeBatchMatmul::LargeBatchMatmul(const Product& product, DType dtype, uint32_t rows,
                                   const Resources& resources, const StepView& step)
    : product_(product), dtype_(dtype), rows_(rows), resources_(resources), step_(step) {}

// Queries, keys or values on their way to rope_append().
float* LargeBatchMatmul::heads(uint32_t part) const {
  auto* at = reinterpret_cast<float*>(resources_.memory.heads);
  for (uint32_t i = 0; i < part; ++i) at += uint64_t{rows_} * product_.part[i].layout.cols;
  return at;
}

float* LargeBatchMatmul::sums(uint32_t part, uint32_t columns) const {
  return reinterpret_cast<float*>(resources_.memory.sums) + uint64_t{part} * rows_ * columns;
}

void LargeBatchMatmul::multiply(const Part& part, const Columns& columns, float* sums,
                                cudaStream_t stream) const {
  const gptq::Layout& l = part.layout;
  const uint32_t padded = gptq::padded_rows(l);
  Multiplication m{resources_.memory.x, nullptr, sums,   dtype_,       rows_, l.rows,
                   columns.count,       padded,  l.rows, columns.count};
  if (dtype_ != DType::gptq) {
    m.w = part.weight + uint64_t{columns.first} * l.rows * 2;
    return resources_.cublas->multiply(m, resources_.memory.cublas, stream);
  }
  const uint32_t tile = columns.first / gptq::kTileColumns;
  const uint32_t tiles = gptq::divide_up(columns.count, gptq::kTileColumns);
  m.w = resources_.slices->next(
      [&](std::byte* to, cudaStream_t side) {
        gptq::dequantise({part.weight, to, l, tile, tiles}, side);
      },
      stream);
  m.dtype = DType::f16;
  m.depth = padded;
  m.w_pitch = padded;
  resources_.cublas->multiply(m, resources_.memory.cublas, stream);
  resources_.slices->done(stream);
}

void LargeBatchMatmul::finish(const Part& part, const Columns& columns, cudaStream_t stream) const {
  const bool pair = is_pair(product_);
  const bool alone =
      product_.epilogue == Epilogue::none || product_.epilogue == Epilogue::rope_append;
  const auto index = static_cast<uint32_t>(&part - product_.part);
  float* const y = alone ? part.y : product_.y;
  gptq::finish({{sums(0, columns.count), pair ? sums(1, columns.count) : nullptr},
                {part.bias, pair ? product_.part[1].bias : nullptr},
                reinterpret_cast<const float*>(resources_.memory.scales),
                product_.other,
                product_.epilogue == Epilogue::rope_append ? heads(index) : y,
                alone ? Epilogue::none : product_.epilogue,
                columns.first,
                columns.count,
                part.layout.cols,
                rows_,
                product_.extent},
               step_, stream);
}

void LargeBatchMatmul::run(const Part& part, cudaStream_t stream) const {
  const uint32_t cols = part.layout.cols;
  const uint32_t at_once = columns_at_once(part.layout, dtype_, rows_, resources_.target);
  for (uint32_t first = 0; first < cols; first += at_once) {
    const Columns columns{first, std::min(at_once, cols - first)};
    multiply(part, columns, sums(0, columns.count), stream);
    if (is_pair(product_)) multiply(product_.part[1], columns, sums(1, columns.count), stream);
    finish(part, columns, stream);
  }
}

void LargeBatchMatmul::append(cudaStream_t stream) const {
  RopeAppend op = product_.append;
  op.q = heads(0);
  op.k = heads(1);
  op.v = heads(2);
  rope_append(op, {step_, rows_, 0, stream});
}

void LargeBatchMatmul::operator()(cudaStream_t stream) const {
  gptq::x_to_f16(
      {product_.x, resources_.memory.x, reinterpret_cast<float*>(resources_.memory.scales),
       dtype_ == DType::bf16 ? DType::bf16 : DType::f16, product_.part[0].layout, rows_,
       product_.extent},
      step_, stream);
  for (uint32_t i = 0; i < (is_pair(product_) ? 1 : product_.parts); ++i)
    run(product_.part[i], stream);
  if (product_.epilogue == Epilogue::rope_append) append(stream);
}

}  // namespace ropewalk::cuda
