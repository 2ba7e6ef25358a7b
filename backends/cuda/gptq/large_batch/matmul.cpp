#include "backends/cuda/gptq/large_batch/matmul.h"

#include <algorithm>

#include "backends/cuda/gptq/large_batch/dequantise.h"
#include "backends/cuda/gptq/large_batch/wgmma.h"
#include "backends/cuda/gptq/x_to_f16.h"
#include "core/abi/workspace.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;

constexpr uint64_t kAlignment = 256;

bool is_pair(const Product& p) { return p.epilogue == Epilogue::silu_mul && p.parts == 2; }

std::vector<Group> groups(const Product& p, DType dtype, uint32_t rows, const Target& target) {
  gptq::Layout parts[kMaxParts];
  for (uint32_t i = 0; i < p.parts; ++i) parts[i] = p.part[i].layout;
  return groups_of(std::span(parts).first(p.parts),
                   is_pair(p) ? Parts::gate_and_up : Parts::in_order, dtype, rows, target);
}

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
  const bool joined = target.tuning().joined != 0;
  for (const Group& group : groups(p, dtype, rows, target)) {
    const uint64_t columns = width_of(group, dtype);
    needs.sums = std::max(needs.sums, rows * columns * 4);
    const uint64_t slice = joined ? columns : width_of(group[0], dtype);
    if (dtype == DType::gptq && !gptq::can_use_wgmma(p, target))
      needs.slice = std::max(
          needs.slice, abi::align_up(slice * gptq::padded_rows(p.part[0].layout) * 2, kAlignment));
  }
  uint64_t width = 0;
  for (uint32_t i = 0; i < p.parts; ++i) width += p.part[i].layout.cols;
  if (p.epilogue == Epilogue::rope_append) needs.heads = rows * width * 4;
  return needs;
}

LargeBatchMatmul::LargeBatchMatmul(const Product& product, DType dtype, uint32_t rows,
                                   const Resources& resources, const StepView& step)
    : product_(product),
      groups_(groups(product, dtype, rows, resources.target)),
      dtype_(dtype),
      rows_(rows),
      stays_packed_(dtype == DType::gptq && gptq::can_use_wgmma(product, resources.target)),
      resources_(resources),
      step_(step) {}

// Queries, keys or values on their way to rope_append().
float* LargeBatchMatmul::heads(uint32_t part) const {
  auto* at = reinterpret_cast<float*>(resources_.memory.heads);
  for (uint32_t i = 0; i < part; ++i) at += uint64_t{rows_} * product_.part[i].layout.cols;
  return at;
}

void LargeBatchMatmul::multiply(std::span<const Piece> pieces, float* sums, uint64_t pitch,
                                cudaStream_t stream) const {
  const gptq::Layout& l = product_.part[0].layout;  // all parts have the same rows
  if (stays_packed_) {
    gptq::WgmmaMatmul op{{}, 0, l, resources_.memory.x, sums, pitch, rows_, product_.extent};
    for (const Piece& piece : pieces)
      op.part[op.parts++] = {product_.part[piece.part].weight, piece.first / gptq::kTileColumns,
                             width_of(piece, dtype_) / gptq::kTileColumns};
    return gptq::wgmma_matmul(op, step_, stream);
  }
  const uint32_t padded = gptq::padded_rows(l);
  uint32_t columns = 0;
  for (const Piece& piece : pieces) columns += width_of(piece, dtype_);
  Multiplication m{
      resources_.memory.x, nullptr, sums, dtype_, rows_, l.rows, columns, padded, l.rows, pitch};
  if (dtype_ != DType::gptq) {
    m.w = product_.part[0].weight + uint64_t{pieces[0].first} * l.rows * 2;
    return resources_.cublas->multiply(m, resources_.memory.cublas, stream);
  }
  m.w = resources_.slices->next(
      [&](std::byte* to, cudaStream_t side) {
        for (const Piece& piece : pieces) {
          const Part& part = product_.part[piece.part];
          gptq::dequantise({part.weight, to, part.layout, piece.first / gptq::kTileColumns,
                            width_of(piece, dtype_) / gptq::kTileColumns},
                           side);
          to += uint64_t{width_of(piece, dtype_)} * padded * 2;
        }
      },
      stream);
  m.dtype = DType::f16;
  m.depth = padded;
  m.w_pitch = padded;
  resources_.cublas->multiply(m, resources_.memory.cublas, stream);
  resources_.slices->done(stream);
}

void LargeBatchMatmul::finish(const Piece& piece, const float* sums, const float* sums_of_up,
                              uint64_t pitch, cudaStream_t stream) const {
  const bool alone =
      product_.epilogue == Epilogue::none || product_.epilogue == Epilogue::rope_append;
  const Part& part = product_.part[piece.part];
  float* const y = alone ? part.y : product_.y;
  gptq::finish({{sums, sums_of_up},
                pitch,
                {part.bias, sums_of_up ? product_.part[1].bias : nullptr},
                reinterpret_cast<const float*>(resources_.memory.scales),
                product_.other,
                product_.epilogue == Epilogue::rope_append ? heads(piece.part) : y,
                alone ? Epilogue::none : product_.epilogue,
                piece.first,
                piece.count,
                part.layout.cols,
                rows_,
                product_.extent},
               step_, stream);
}

void LargeBatchMatmul::run(const Group& group, cudaStream_t stream) const {
  const std::span<const Piece> pieces = group;
  auto* const sums = reinterpret_cast<float*>(resources_.memory.sums);
  const uint64_t pitch = width_of(group, dtype_);
  const size_t at_once = resources_.target.tuning().joined ? pieces.size() : 1;
  const auto before = [&](size_t i) {  // columns of the pieces in front
    return width_of(Group(group.begin(), group.begin() + static_cast<ptrdiff_t>(i)), dtype_);
  };
  for (size_t i = 0; i < pieces.size(); i += at_once)
    multiply(pieces.subspan(i, at_once), sums + before(i), pitch, stream);
  if (is_pair(product_)) return finish(group[0], sums, sums + before(1), pitch, stream);
  for (size_t i = 0; i < pieces.size(); ++i)
    finish(pieces[i], sums + before(i), nullptr, pitch, stream);
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
       product_.extent, stays_packed_ ? gptq::XOrder::pairs_of_lanes : gptq::XOrder::natural},
      step_, stream);
  for (const Group& group : groups_) run(group, stream);
  if (product_.epilogue == Epilogue::rope_append) append(stream);
}

}  // namespace ropewalk::cuda
