#include "apps/model/checkpoint_facts.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/checkpoint/weights/finite.h"
#include "core/model/families.h"
#include "core/model/unread.h"

namespace ropewalk {
namespace {

std::vector<std::byte> read_tensor(const Checkpoint& checkpoint, const TensorInfo& tensor) {
  std::vector<std::byte> bytes(tensor.bytes);
  checkpoint.read(tensor, bytes);
  return bytes;
}

// Whether every zero point of the layer is the middle of its codes. 32 codes fill `bits` words, so
// a row of equal codes repeats a pattern of that many words.
bool is_symmetric(const Checkpoint& checkpoint, const WeightInfo& info, ZeroPoints zeros) {
  const uint32_t bits = info.shape.bits;
  const TensorInfo& qzeros = checkpoint.get(info.stored.name + ".qzeros");
  std::vector<uint32_t> words(qzeros.bytes / sizeof(uint32_t));
  checkpoint.read(qzeros, std::as_writable_bytes(std::span(words)));
  const uint64_t row_words = qzeros.shape[1];
  if (zeros == ZeroPoints::v1_borrowed) return_borrowed(words, row_words, bits);
  const uint32_t code = (1u << (bits - 1)) - info.shape.zero_offset;
  std::vector<uint32_t> pattern(bits, 0);
  for (uint32_t bit = 0; bit < 32 * bits; ++bit)
    if (code >> (bit % bits) & 1) pattern[bit / 32] |= 1u << (bit % 32);
  for (uint64_t i = 0; i < words.size(); ++i)
    if (words[i] != pattern[i % row_words % bits]) return false;
  return true;
}

void add_layer(QuantFacts& facts, const WeightInfo& info) {
  const abi::Weight& linear = info.shape;
  const bool one_group = linear.group_size == linear.rows;
  const bool first = facts.layers == 0;
  facts.mixed =
      facts.mixed || (!first && (facts.bits != linear.bits || facts.one_group != one_group ||
                                 (!one_group && facts.group_size != linear.group_size)));
  facts.bits = std::max(facts.bits, linear.bits);
  facts.group_size = std::max(facts.group_size, linear.group_size);
  facts.one_group = (first || facts.one_group) && one_group;
  facts.act_order = facts.act_order || !info.row_order.empty();
  ++facts.layers;
}

// Elements that are +0 or -0.
TensorFault count_zeros(const TensorInfo& tensor, std::span<const std::byte> bytes) {
  TensorFault fault{&tensor, 0, 0};
  const uint64_t size = stored_size(tensor.type);
  for (uint64_t i = 0; i < bytes.size() / size; ++i) {
    const auto element = bytes.subspan(i * size, size);
    // The sign is the top bit of the last byte.
    const bool zero = std::ranges::all_of(element.first(size - 1),
                                          [](std::byte b) { return b == std::byte{0}; }) &&
                      (element.back() & std::byte{0x7f}) == std::byte{0};
    if (zero && fault.count++ == 0) fault.first = i;
  }
  return fault;
}

}  // namespace

CheckpointFacts gather_facts(const Checkpoint& checkpoint) {
  const CheckpointWeights weights(checkpoint);
  // The graph knows which layers the model has; types and pages do not matter here.
  const ModelGraph model = build_model(weights, {.activation = abi::DType::f32,
                                                 .kv_type = abi::DType::f16,
                                                 .cache_pages = 1,
                                                 .attention_scale = 1,
                                                 .keys = abi::KeyRotation::before_cache});
  warn_of_unread(checkpoint, model);
  CheckpointFacts facts;
  facts.unread = unread_tensors(checkpoint, model);
  QuantFacts quant{.zero_points = weights.zero_points()};
  std::set<std::string_view> seen;
  for (const WeightLoad& load : model.weights) {
    const WeightInfo& info = load.info;
    if (!seen.insert(info.name).second) continue;  // a tied table appears twice, but counts once
    facts.parameters += uint64_t{info.shape.rows} * info.shape.cols;
    if (info.shape.dtype != abi::DType::gptq) continue;
    add_layer(quant, info);
    quant.symmetric = quant.symmetric && is_symmetric(checkpoint, info, weights.zero_points());
  }
  if (quant.layers > 0) facts.quantization = quant;
  for (const VectorLoad& load : model.vectors) facts.parameters += load.size;
  for (const TensorInfo& tensor : checkpoint.tensors()) facts.bytes += tensor.bytes;
  return facts;
}

Verification verify_tensors(const Checkpoint& checkpoint,
                            const std::function<void(uint64_t done, uint64_t total)>& progress) {
  Verification result;
  uint64_t done = 0, total = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) total += tensor.bytes;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    const std::vector<std::byte> bytes = read_tensor(checkpoint, tensor);
    ++result.tensors;
    if (is_float(tensor.type) || tensor.type == StoredType::f64) {
      const NonFinite found = count_non_finite(tensor.type, bytes);
      if (found.count > 0) result.non_finite.push_back({&tensor, found.count, found.first});
      const bool scales = tensor.name.ends_with(".scales");
      if (const TensorFault zeros = count_zeros(tensor, bytes); scales && zeros.count > 0)
        result.zero_scales.push_back(zeros);
    }
    done += tensor.bytes;
    progress(done, total);
  }
  return result;
}

}  // namespace ropewalk
