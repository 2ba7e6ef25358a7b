#include "core/checkpoint/weights/weight_room.h"

#include "core/abi/operands.h"

namespace ropewalk {
namespace {

using abi::DType;

uint64_t align(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

struct Sizes {
  uint64_t dense = 0, qweight = 0, qzeros = 0, scales = 0;  // bytes
};

Sizes sizes_of(const abi::Weight& w) {
  const auto words = [&](uint64_t codes) { return (codes * w.bits + 31) / 32; };
  if (w.dtype != DType::gptq) return {.dense = uint64_t{w.rows} * w.cols * element_bytes(w.dtype)};
  return {.qweight = words(w.rows) * w.cols * 4,
          .qzeros = words(w.cols) * w.groups() * 4,
          .scales = uint64_t{w.groups()} * w.cols * element_bytes(w.scale_dtype)};
}

}  // namespace

uint64_t room_bytes(abi::Weight shape, uint32_t cols) {
  shape.cols = cols;
  const Sizes sizes = sizes_of(shape);
  return align(sizes.dense) + align(sizes.qweight) + align(sizes.qzeros) + align(sizes.scales);
}

WeightRoom lay_out(abi::Weight& weight, std::span<std::byte> room) {
  const auto take = [&room](uint64_t bytes) {
    const std::span<std::byte> taken = room.first(bytes);
    room = room.subspan(align(bytes));
    return taken;
  };
  const auto take_words = [&take](uint64_t bytes) {
    const std::span<std::byte> taken = take(bytes);
    return std::span(reinterpret_cast<uint32_t*>(taken.data()), bytes / sizeof(uint32_t));
  };
  const Sizes sizes = sizes_of(weight);
  WeightRoom spans;
  weight.dense = spans.dense = take(sizes.dense);
  weight.qweight = spans.qweight = take_words(sizes.qweight);
  weight.qzeros = spans.qzeros = take_words(sizes.qzeros);
  weight.scales = spans.scales = take(sizes.scales);
  return spans;
}

}  // namespace ropewalk
