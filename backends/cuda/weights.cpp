#include "backends/cuda/weights.h"

#include <string>
#include <vector>

#include "backends/cuda/gather.h"
#include "backends/cuda/gptq/pack.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;
using abi::Failure;
using abi::StatusCode;
using abi::WeightUse;

uint64_t align(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

uint32_t element_bytes(DType dtype) { return dtype == DType::f32 ? 4 : 2; }

void require(bool holds, const char* what) {
  if (!holds) throw Failure(StatusCode::invalid_argument, std::string("weight: ") + what);
}

void require_permutation(std::span<const uint32_t> order, uint32_t size, const char* what) {
  if (order.empty()) return;
  require(order.size() == size, what);
  std::vector<bool> seen(size, false);
  for (const uint32_t index : order) {
    require(index < size && !seen[index], what);
    seen[index] = true;
  }
}

void check_shape(const abi::Weight& w) {
  require(w.rows && w.cols, "a size is zero");
  if (w.dtype == DType::gptq) {
    if (w.bits != 2 && w.bits != 3 && w.bits != 4 && w.bits != 8)
      throw Failure(StatusCode::unsupported,
                    "weight: codes of " + std::to_string(w.bits) + " bits are not 2, 3, 4 or 8");
    require(w.use == WeightUse::matmul, "an embedding table is dense");
    require(w.group_size && w.group_size <= w.rows, "the group size is not within 1 .. rows");
    require(w.zero_offset <= 1, "the zero offset is not 0 or 1");
    require(w.scale_dtype == DType::f16 || w.scale_dtype == DType::f32,
            "scales are not f16 or f32");
  } else if (w.dtype != DType::f32 && w.dtype != DType::f16 && w.dtype != DType::bf16) {
    throw Failure(StatusCode::unsupported,
                  "weight: the element type is not f32, f16, bf16 or gptq");
  }
}

void check_contents(const abi::Weight& w) {
  require_permutation(w.row_order, w.rows, "the row order is not a permutation of the rows");
  require_permutation(w.column_order, w.cols,
                      "the column order is not a permutation of the columns");
  if (w.use == WeightUse::embed)
    require(w.row_order.empty() && w.column_order.empty(), "an embedding table has no order");
  if (w.dtype != DType::gptq) {
    require(w.dense.size() >= uint64_t{w.rows} * w.cols * element_bytes(w.dtype),
            "there are fewer elements than rows x cols");
    return;
  }
  const uint64_t row_words = (uint64_t{w.rows} * w.bits + 31) / 32;
  const uint64_t column_words = (uint64_t{w.cols} * w.bits + 31) / 32;
  require(w.qweight.size() >= row_words * w.cols, "qweight is shorter than its shape");
  require(w.qzeros.size() >= column_words * w.groups(), "qzeros is shorter than its shape");
  require(w.scales.size() >= uint64_t{w.groups()} * w.cols * element_bytes(w.scale_dtype),
          "scales is shorter than its shape");
}

gptq::Layout layout_of(const abi::Weight& w) {
  if (w.dtype != DType::gptq) return {w.rows, w.cols, 0, w.rows, 0};
  return {w.rows, w.cols, w.bits, w.group_size, w.scale_dtype == DType::f32 ? 2u : 1u};
}

// Tensors on their way: places in the room that packing reads from, one after another.
class Upload {
 public:
  template <class Element>
  void add(std::span<const Element> part) {
    parts_.push_back(std::as_bytes(part));
    bytes_ += align(parts_.back().size());
  }
  // The parts' addresses, in order; null for an empty one.
  std::vector<const std::byte*> send(Memory& memory) const {
    std::byte* at = memory.room(bytes_);
    std::vector<const std::byte*> places;
    for (const std::span<const std::byte> part : parts_) {
      places.push_back(part.empty() ? nullptr : at);
      memory.upload(at, part);
      at += align(part.size());
    }
    return places;
  }

 private:
  std::vector<std::span<const std::byte>> parts_;
  uint64_t bytes_ = 0;
};

const uint32_t* words(const std::byte* at) { return reinterpret_cast<const uint32_t*>(at); }

void pack_gptq(const abi::Weight& w, std::byte* to, Memory& memory, Context& context) {
  Upload upload;
  upload.add(w.qweight);
  upload.add(w.qzeros);
  upload.add(w.scales);
  upload.add(w.row_order);
  upload.add(w.column_order);
  const std::vector<const std::byte*> at = upload.send(memory);
  const gptq::Stored stored{
      words(at[0]), words(at[1]),
      at[2],        words(at[3]),
      words(at[4]), w.scale_dtype == DType::f32 ? gptq::ScaleType::f32 : gptq::ScaleType::f16,
      w.zero_offset};
  gptq::pack(stored, layout_of(w), reinterpret_cast<uint32_t*>(to), context.stream());
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
  gather({at[0], words(at[1]), words(at[2]), w.rows, w.cols, element_bytes(w.dtype)}, to,
         context.stream());
  context.check_launches("packing");
}

}  // namespace

PackedWeight describe(const abi::Weight& w) { return {w.use, w.dtype, layout_of(w)}; }

uint64_t packed_bytes(const abi::Weight& w) {
  check_shape(w);
  if (w.dtype == DType::gptq) return align(gptq::total_words(layout_of(w)) * 4);
  return align(uint64_t{w.rows} * w.cols * element_bytes(w.dtype));
}

void pack(const abi::Weight& w, const abi::Slice& to, Memory& memory, Context& context) {
  require(to.bytes >= packed_bytes(w), "the place for it is too small");
  check_contents(w);
  std::byte* at = memory.address(to);
  if (w.dtype == DType::gptq)
    pack_gptq(w, at, memory, context);
  else
    pack_dense(w, at, memory, context);
}

}  // namespace ropewalk::cuda
