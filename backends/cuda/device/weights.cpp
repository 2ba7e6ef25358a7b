#include "backends/cuda/device/weights.h"

#include <optional>
#include <vector>

#include "backends/cuda/device/gather.h"
#include "backends/cuda/gptq/pack.h"
#include "core/abi/guard.h"
#include "core/abi/operands.h"
#include "core/abi/workspace.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;

constexpr uint64_t kPartAlignment = 256;

// The zero point of the whole weight, as stored, where it is one constant.
std::optional<uint32_t> constant_zero(const abi::Weight& w) {
  if (w.qzeros.empty() || w.whole_cols() != w.cols) return std::nullopt;
  const uint32_t first = abi::gptq_code(w.qzeros.data(), 1, w.bits, 0);
  const uint64_t words = (uint64_t{w.cols} * w.bits + 31) / 32;
  for (uint32_t group = 0; group < w.groups(); ++group)
    for (uint32_t n = 0; n < w.cols; ++n)
      if (abi::gptq_code(w.qzeros.data() + group * words, 1, w.bits, n) != first)
        return std::nullopt;
  return first;
}

// The layout of the columns that came. Zeros of a part say nothing about those of the other parts.
gptq::Layout packed_layout_of(const abi::Weight& w) {
  if (w.dtype != DType::gptq) return {w.rows, w.cols, 0, w.rows, 0};
  gptq::Layout l{w.rows, w.cols, w.bits, w.group_size, w.scale_dtype == DType::f32 ? 2u : 1u};
  if (w.bits != 4 || w.group_size != gptq::kBlockRows || w.scale_dtype != DType::f16) return l;
  const std::optional<uint32_t> zero = constant_zero(w);
  l.zeros = zero ? gptq::Zeros::constant : gptq::Zeros::nibbles;
  l.zero = zero.value_or(0) + w.zero_offset;
  return l;
}

// Uploads tensors into the packing scratch, one after another.
class Upload {
 public:
  template <class Element>
  void add(std::span<const Element> part) {
    parts_.push_back(std::as_bytes(part));
    bytes_ += abi::align_up(parts_.back().size(), kPartAlignment);
  }
  // Returns the addresses of the tensors, in order; null for an empty one.
  std::vector<const std::byte*> send(Memory& memory) const {
    std::byte* at = memory.room(bytes_);
    std::vector<const std::byte*> addresses;
    for (const std::span<const std::byte> part : parts_) {
      addresses.push_back(part.empty() ? nullptr : at);
      memory.upload(at, part);
      at += abi::align_up(part.size(), kPartAlignment);
    }
    return addresses;
  }

 private:
  std::vector<std::span<const std::byte>> parts_;
  uint64_t bytes_ = 0;
};

const uint32_t* words_at(const std::byte* at) { return reinterpret_cast<const uint32_t*>(at); }

void pack_gptq(const abi::Weight& w, const gptq::Layout& l, std::byte* to, Memory& memory,
               Context& context) {
  Upload upload;
  upload.add(w.qweight);
  upload.add(w.qzeros);
  upload.add(w.scales);
  upload.add(w.row_order);
  upload.add(w.column_order);
  const std::vector<const std::byte*> at = upload.send(memory);
  const gptq::Stored stored{
      words_at(at[0]), words_at(at[1]),
      at[2],           words_at(at[3]),
      words_at(at[4]), w.scale_dtype == DType::f32 ? gptq::ScaleType::f32 : gptq::ScaleType::f16,
      w.zero_offset};
  gptq::pack(stored, l, reinterpret_cast<uint32_t*>(to), context.stream());
  context.check_launches("packing");
}

void pack_dense(const abi::Weight& w, std::byte* to, Memory& memory, Context& context) {
  const std::span<const std::byte> stored =
      w.dense.first(uint64_t{w.rows} * w.cols * element_bytes(w.dtype));
  if (w.row_order.empty() && w.column_order.empty()) return memory.upload(to, stored);
  Upload upload;
  upload.add(stored);
  upload.add(w.row_order);
  upload.add(w.column_order);
  const std::vector<const std::byte*> at = upload.send(memory);
  gather({at[0], words_at(at[1]), words_at(at[2]), w.rows, w.cols, element_bytes(w.dtype)}, to,
         context.stream());
  context.check_launches("packing");
}

}  // namespace

// The zeros are not known yet, so this assumes the layout with zeros in every header.
uint64_t packed_bytes(const abi::Weight& w) {
  abi::Weight unseen = w;
  unseen.qzeros = {};
  unseen.cols = w.whole_cols();
  const uint64_t bytes = w.dtype == DType::gptq
                             ? gptq::total_words(packed_layout_of(unseen)) * 4
                             : uint64_t{w.rows} * unseen.cols * element_bytes(w.dtype);
  return abi::align_up(bytes, kPartAlignment);
}

gptq::Layout pack(const abi::Weight& w, const abi::Slice& to, Memory& memory, Context& context) {
  if (to.bytes < packed_bytes(w))
    throw abi::Failure(abi::StatusCode::invalid_argument, "weight: the place for it is too small");
  static_assert(abi::kPartColumns % gptq::kTileColumns == 0);
  std::byte* at = memory.address(to);
  gptq::Layout layout = packed_layout_of(w);
  if (w.dtype == DType::gptq) {
    at += w.first_column / gptq::kTileColumns * gptq::tile_words(layout) * 4;
    pack_gptq(w, layout, at, memory, context);
  } else {
    at += uint64_t{w.first_column} * w.rows * element_bytes(w.dtype);
    pack_dense(w, at, memory, context);
  }
  memory.wait_for_staging();
  layout.cols = w.whole_cols();
  return layout;
}

}  // namespace ropewalk::cuda
