#include "core/checkpoint/weights/read_floats.h"

#include <algorithm>

#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/weight_room.h"

namespace ropewalk {
namespace {

constexpr uint32_t kColumnsAtOnce = 16;  // words of a cache line, and streams of results

StoredType type_of_dense(abi::DType dtype) {
  if (dtype == abi::DType::f32) return StoredType::f32;
  return dtype == abi::DType::bf16 ? StoredType::bf16 : StoredType::f16;
}

// core/abi/weight.h has the formula.
std::vector<float> dequantised(const abi::Weight& w) {
  const std::vector<float> scales = to_floats(type_of_dense(w.scale_dtype), w.scales);
  std::vector<float> values(size_t{w.cols} * w.rows);
  const uint64_t zero_words = (uint64_t{w.cols} * w.bits + 31) / 32;  // of a group
  for (uint32_t from = 0; from < w.cols; from += kColumnsAtOnce) {
    const uint32_t to = std::min(from + kColumnsAtOnce, w.cols);
    for (uint32_t k = 0; k < w.rows; ++k) {
      const uint32_t group = k / w.group_size, row = w.row_order.empty() ? k : w.row_order[k];
      const uint32_t* zeros = w.qzeros.data() + group * zero_words;
      for (uint32_t n = from; n < to; ++n) {
        const uint32_t code = abi::gptq_code(w.qweight.data() + n, w.cols, w.bits, row);
        const uint32_t zero = abi::gptq_code(zeros, 1, w.bits, n) + w.zero_offset;
        values[size_t{n} * w.rows + row] =
            scales[size_t{group} * w.cols + n] *
            static_cast<float>(static_cast<int32_t>(code) - static_cast<int32_t>(zero));
      }
    }
  }
  return values;
}

}  // namespace

std::vector<float> read_floats(const WeightSource& weights, const WeightInfo& info, uint32_t first,
                               uint32_t count) {
  std::vector<std::byte> room(room_bytes(info.shape, count));
  const abi::Weight weight = weights.load(info, {.first = first, .count = count}, room);
  if (weight.dtype == abi::DType::gptq) return dequantised(weight);
  return to_floats(type_of_dense(weight.dtype), weight.dense);
}

}  // namespace ropewalk
