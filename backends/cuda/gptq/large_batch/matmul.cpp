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

bool is_pair(const Product& p) { return p.epilogue == Epilogue::gate_mul && p.parts == 2; }

bool is_fused(DType dtype, const Target& target) {
  return dtype == DType::gptq && target.choices.epilogues == Epilogues::fused;
}

bool uses_wgmma(const Product& p, const Target& target) {
  return target.choices.large_batch == LargeBatchChoice::wgmma &&
         gptq::can_use_wgmma(p, target.capability, target.shared_bytes);
}

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
  gated = std::max(gated, other.gated);
  rotations = std::max(rotations, other.rotations);
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
  at.gated = cursor.place(gated);
  at.rotations = cursor.place(rotations);
  at.slices = cursor.place(2 * slice);
  at.end = cursor.end();
  return at;
}

uint64_t LargeBatchNeeds::total() const { return x ? offsets().end : 0; }

LargeBatchPointers LargeBatchNeeds::pointers(std::byte* begin) const {
  const Offsets at = offsets();
  return {begin + at.cublas, begin + at.x,     begin + at.scales,    begin + at.sums,
          begin + at.heads,  begin + at.gated, begin + at.rotations, begin + at.slices};
}

// Whether the weights are packed is known here, not yet how their headers are: sums of a product
// that wgmma.cu takes without its epilogue are f32.
LargeBatchNeeds LargeBatchMatmul::needs(const Product& p, DType dtype, uint32_t rows,
                                        const Target& target) {
  const bool fused = is_fused(dtype, target);
  const uint64_t sum_bytes =
      fused && target.choices.large_batch == LargeBatchChoice::cublas ? 2 : 4;
  const bool rotates = p.epilogue == Epilogue::rope_append;
  LargeBatchNeeds needs;
  needs.x = uint64_t{rows} * gptq::padded_rows(p.part[0].layout) * 2;
  needs.scales = uint64_t{rows} * 4;
  const bool joined = target.tuning().joined != 0;
  uint64_t width = 0;
  for (const Group& group : groups(p, dtype, rows, target)) {
    const uint64_t columns = width_of(group, dtype);
    width += columns;
    if (!rotates || sum_bytes == 4) needs.sums = std::max(needs.sums, rows * columns * sum_bytes);
    const uint64_t slice = joined ? columns : width_of(group[0], dtype);
    if (dtype == DType::gptq && !uses_wgmma(p, target))
      needs.slice = std::max(
          needs.slice, abi::align_up(slice * gptq::padded_rows(p.part[0].layout) * 2, kAlignment));
  }
  if (rotates) needs.heads = rows * width * sum_bytes;
  if (fused && rotates) needs.rotations = uint64_t{rows} * p.append.keys.head_dim / 2 * 8;
  if (fused && is_pair(p))
    needs.gated = uint64_t{rows} * gptq::gated_at(nullptr, p.part[0].layout.cols).width * 2;
  return needs;
}

bool LargeBatchMatmul::can_fold(const Product& product, const Target& target) {
  constexpr uint32_t kStaticBytes = 1024;  // of the kernel
  return is_fused(DType::gptq, target) &&
         gptq::fold_bytes(product.part[0].layout) + kStaticBytes <= target.shared_bytes;
}

bool LargeBatchMatmul::can_pass_gated(const Product& product, const Product& next,
                                      const Target& target) {
  return is_fused(DType::gptq, target) && is_pair(product) &&
         gptq::is_contiguous(next.part[0].layout) &&
         uses_wgmma(product, target) == uses_wgmma(next, target);
}

bool LargeBatchMatmul::can_pass_half_queries(const Product& product, const Target& target) {
  return is_fused(DType::gptq, target) && product.epilogue == Epilogue::rope_append &&
         (!uses_wgmma(product, target) || gptq::wgmma_end_of(product) == gptq::WgmmaEnd::heads);
}

LargeBatchMatmul::LargeBatchMatmul(const Product& product, DType dtype, uint32_t rows,
                                   const LargeBatchLinks& links, const Resources& resources,
                                   const StepView& step)
    : product_(product),
      groups_(groups(product, dtype, rows, resources.target)),
      dtype_(dtype),
      rows_(rows),
      links_(links),
      stays_packed_(dtype == DType::gptq && uses_wgmma(product, resources.target)),
      end_(stays_packed_ && is_fused(dtype, resources.target) ? gptq::wgmma_end_of(product)
                                                              : gptq::WgmmaEnd::sums),
      sum_type_(!stays_packed_ && is_fused(dtype, resources.target) ? DType::f16 : DType::f32),
      resources_(resources),
      step_(step) {
  product_.append.half_queries = links.half_queries;
}

// Queries, keys or values on their way to rope_append().
float* LargeBatchMatmul::heads(uint32_t part) const {
  auto* at = reinterpret_cast<float*>(resources_.memory.heads);
  for (uint32_t i = 0; i < part; ++i) at += uint64_t{rows_} * product_.part[i].layout.cols;
  return at;
}

gptq::XScales LargeBatchMatmul::x_scales() const {
  return links_.reads_gated ? nullptr : reinterpret_cast<const float*>(resources_.memory.scales);
}

void LargeBatchMatmul::prepare_x(cudaStream_t stream) const {
  if (links_.reads_gated) return;
  gptq::XToF16 op{product_.x,
                  resources_.memory.x,
                  reinterpret_cast<float*>(resources_.memory.scales),
                  dtype_ == DType::bf16 ? DType::bf16 : DType::f16,
                  product_.part[0].layout,
                  rows_,
                  product_.extent};
  if (stays_packed_) op.order = gptq::XOrder::pairs_of_lanes;
  if (sum_type_ == DType::f16) op.range = gptq::XRange::sums_in_f16;
  if (is_rotated() && is_fused(dtype_, resources_.target))
    op.rotations = {reinterpret_cast<float2*>(resources_.memory.rotations),
                    product_.append.keys.head_dim / 2, product_.append.scale};
  if (links_.folded.from)
    gptq::fold_to_f16(op, links_.folded, step_, stream);
  else
    gptq::x_to_f16(op, step_, stream);
}

void LargeBatchMatmul::multiply_and_finish(cudaStream_t stream) const {
  gptq::WgmmaMatmul op{{}, product_.parts, product_.part[0].layout, x(), nullptr,
                       0,  rows_,          product_.extent};
  for (uint32_t p = 0; p < op.parts; ++p)
    op.part[p] = {product_.part[p].weight, 0, gptq::column_tiles(product_.part[p].layout)};
  op.end = end_;
  op.product = product_;
  op.x_scales = x_scales();
  if (links_.writes_gated)
    op.gated = gptq::gated_at(resources_.memory.gated, product_.part[0].layout.cols);
  op.rotations = reinterpret_cast<const float2*>(resources_.memory.rotations);
  gptq::wgmma_matmul(op, step_, stream);
}

void LargeBatchMatmul::multiply(std::span<const Piece> pieces, std::byte* sums, uint64_t pitch,
                                cudaStream_t stream) const {
  const gptq::Layout& l = product_.part[0].layout;  // all parts have the same rows
  if (stays_packed_) {
    gptq::WgmmaMatmul op{
        {}, 0, l, x(), reinterpret_cast<float*>(sums), pitch, rows_, product_.extent};
    for (const Piece& piece : pieces)
      op.part[op.parts++] = {product_.part[piece.part].weight, piece.first / gptq::kTileColumns,
                             width_of(piece, dtype_) / gptq::kTileColumns};
    return gptq::wgmma_matmul(op, step_, stream);
  }
  const uint32_t padded = gptq::padded_rows(l);
  uint32_t columns = 0;
  for (const Piece& piece : pieces) columns += width_of(piece, dtype_);
  Multiplication m{x(),    nullptr, sums,   dtype_, sum_type_, rows_,
                   l.rows, columns, padded, l.rows, pitch};
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

void LargeBatchMatmul::finish(const Piece& piece, const std::byte* sums,
                              const std::byte* sums_of_up, uint64_t pitch,
                              cudaStream_t stream) const {
  const bool alone = product_.epilogue == Epilogue::none || is_rotated();
  const Part& part = product_.part[piece.part];
  gptq::Finish op{{sums, sums_of_up},
                  sum_type_,
                  pitch,
                  {part.bias, sums_of_up ? product_.part[1].bias : nullptr},
                  x_scales(),
                  product_.other,
                  is_rotated() ? heads(piece.part)
                  : alone      ? part.y
                               : product_.y,
                  {},
                  alone ? Epilogue::none : product_.epilogue,
                  product_.activation,
                  piece.first,
                  piece.count,
                  part.layout.cols,
                  rows_,
                  product_.extent};
  if (links_.writes_gated) op.gated = gptq::gated_at(resources_.memory.gated, part.layout.cols);
  gptq::finish(op, step_, stream);
}

void LargeBatchMatmul::run(const Group& group, cudaStream_t stream) const {
  const std::span<const Piece> pieces = group;
  const uint64_t sum_bytes = sum_type_ == DType::f16 ? 2 : 4;
  std::byte* sums = resources_.memory.sums;
  uint64_t pitch = width_of(group, dtype_);
  const size_t at_once = resources_.target.tuning().joined ? pieces.size() : 1;
  const auto before = [&](size_t i) {  // bytes of the pieces in front
    return sum_bytes *
           width_of(Group(group.begin(), group.begin() + static_cast<ptrdiff_t>(i)), dtype_);
  };
  const bool stay_halves = is_rotated() && sum_type_ == DType::f16;
  if (stay_halves) {
    const Heads to = heads_before(pieces[0]);
    sums = resources_.memory.heads + to.columns * sum_bytes;
    pitch = to.pitch;
  }
  for (size_t i = 0; i < pieces.size(); i += at_once)
    multiply(pieces.subspan(i, at_once), sums + before(i), pitch, stream);
  if (stay_halves) return;
  if (is_pair(product_)) return finish(group[0], sums, sums + before(1), pitch, stream);
  for (size_t i = 0; i < pieces.size(); ++i)
    finish(pieces[i], sums + before(i), nullptr, pitch, stream);
}

LargeBatchMatmul::Heads LargeBatchMatmul::heads_before(const Piece& piece) const {
  Heads heads{};
  for (uint32_t p = 0; p < product_.parts; ++p) {
    if (p == piece.part) heads.columns = heads.pitch + piece.first;
    heads.pitch += gptq::column_tiles(product_.part[p].layout) * gptq::kTileColumns;
  }
  return heads;
}

void LargeBatchMatmul::append(cudaStream_t stream) const {
  RopeAppend op = product_.append;
  op.q = heads(0);
  op.k = heads(1);
  op.v = heads(2);
  rope_append(op, {step_, rows_, 0, stream});
}

void LargeBatchMatmul::append_halves(cudaStream_t stream) const {
  gptq::AppendHalves op{};
  op.append = product_.append;
  op.sums = reinterpret_cast<const __half*>(resources_.memory.heads);
  op.x_scales = x_scales();
  op.rotations = reinterpret_cast<const float2*>(resources_.memory.rotations);
  for (uint32_t p = 0; p < product_.parts; ++p) {
    const Heads at = heads_before({p, 0, 0});
    op.pitch = at.pitch;
    op.first[p] = at.columns;
    op.bias[p] = product_.part[p].bias;
  }
  gptq::append_halves(op, {step_, rows_, 0, stream});
}

void LargeBatchMatmul::operator()(cudaStream_t stream) const {
  prepare_x(stream);
  if (end_ != gptq::WgmmaEnd::sums) return multiply_and_finish(stream);
  for (const Group& group : groups_) run(group, stream);
  if (!is_rotated()) return;
  if (sum_type_ == DType::f16)
    append_halves(stream);
  else
    append(stream);
}

}  // namespace ropewalk::cuda
