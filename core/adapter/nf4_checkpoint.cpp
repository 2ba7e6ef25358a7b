#include "core/adapter/nf4_checkpoint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"

namespace ropewalk {
namespace {

constexpr size_t kBlock = 64;               // weights that share a magnitude
constexpr size_t kBlocks = 256;             // magnitudes that are rounded together
constexpr size_t kSpan = kBlock * kBlocks;  // only the mean depends on other weights
constexpr uint64_t kSpansAtATime = 64;      // 1 Mi weights

// The quantiles of a normal distribution, as bitsandbytes has them.
constexpr std::array<float, 16> kLevels{-1.0f,
                                        -0.6961928009986877f,
                                        -0.5250730514526367f,
                                        -0.39491748809814453f,
                                        -0.28444138169288635f,
                                        -0.18477343022823334f,
                                        -0.09105003625154495f,
                                        0.0f,
                                        0.07958029955625534f,
                                        0.16093020141124725f,
                                        0.24611230194568634f,
                                        0.33791524171829224f,
                                        0.44070982933044434f,
                                        0.5626170039176941f,
                                        0.7229568362236023f,
                                        1.0f};

// bitsandbytes' create_dynamic_map(signed): per power of ten more fractions, 256 values in all.
std::array<float, 256> dynamic_levels() {
  std::array<float, 256> levels{};
  size_t count = 0;
  for (int power = 0; power < 7; ++power) {
    const int steps = 1 << power;
    for (int i = 0; i < steps; ++i) {
      // The middle of step i of 0.1 to 1.
      const float low = 0.1f + 0.9f * static_cast<float>(i) / static_cast<float>(steps);
      const float high = 0.1f + 0.9f * static_cast<float>(i + 1) / static_cast<float>(steps);
      const float value = static_cast<float>(std::pow(10.0, power - 6)) * ((low + high) / 2);
      levels[count++] = value;
      levels[count++] = -value;
    }
  }
  levels[count++] = 0;
  levels[count] = 1;
  std::ranges::sort(levels);
  return levels;
}

template <size_t kCount>
float nearest(const std::array<float, kCount>& levels, float value) {
  const auto above = std::ranges::lower_bound(levels, value);
  if (above == levels.begin()) return levels.front();
  if (above == levels.end()) return levels.back();
  return value - *(above - 1) <= *above - value ? *(above - 1) : *above;
}

float magnitude_of(std::span<const float> block) {
  float magnitude = 0;
  for (const float value : block) magnitude = std::max(magnitude, std::abs(value));
  return magnitude;
}

std::vector<float> magnitudes_of(std::span<const float> values) {
  std::vector<float> magnitudes;
  for (size_t at = 0; at < values.size(); at += kBlock)
    magnitudes.push_back(magnitude_of(values.subspan(at, std::min(kBlock, values.size() - at))));
  return magnitudes;
}

// Rounds them to what the training computed with. At most kSpan values, from a multiple of it on.
void round_span(std::span<float> values, float mean) {
  static const std::array<float, 256> levels = dynamic_levels();
  const std::vector<float> magnitudes = magnitudes_of(values);
  float largest = 0;
  for (const float magnitude : magnitudes) largest = std::max(largest, std::abs(magnitude - mean));
  for (size_t i = 0; i < magnitudes.size(); ++i) {
    const float ratio = largest > 0 ? (magnitudes[i] - mean) / largest : 0;
    const float stored = nearest(levels, ratio) * largest + mean;
    const float inverse = magnitudes[i] > 0 ? 1 / magnitudes[i] : 0;
    const auto block = values.subspan(i * kBlock, std::min(kBlock, values.size() - i * kBlock));
    for (float& value : block) value = nearest(kLevels, value * inverse) * stored;
  }
}

// transformers leaves the tables, the head and the norms as they are.
bool is_rounded(const TensorInfo& tensor) {
  return tensor.shape.size() == 2 && tensor.name.starts_with("model.layers.") &&
         tensor.name.ends_with(".weight");
}

}  // namespace

Nf4Checkpoint::Nf4Checkpoint(const Checkpoint& base) : base_(base) {
  directory_ = base.directory();
  config_ = base.config();
  quantization_ = base.quantization();
  tensors_.assign(base.tensors().begin(), base.tensors().end());
}

float Nf4Checkpoint::mean_of(const TensorInfo& tensor) const {
  const std::lock_guard lock(mutex_);
  if (const auto known = means_.find(tensor.name); known != means_.end()) return known->second;
  double sum = 0;
  uint64_t count = 0;
  const uint64_t step = kSpansAtATime * kSpan * stored_size(tensor.type);
  std::vector<std::byte> bytes;
  for (uint64_t at = 0; at < tensor.bytes; at += step) {
    bytes.resize(std::min(step, tensor.bytes - at));
    base_.read_from(base_.get(tensor.name), at, bytes);
    for (const float magnitude : magnitudes_of(to_floats(tensor.type, bytes))) {
      sum += static_cast<double>(magnitude);
      ++count;
    }
  }
  return means_[tensor.name] =
             static_cast<float>(sum / static_cast<double>(std::max<uint64_t>(count, 1)));
}

void Nf4Checkpoint::read_from(const TensorInfo& tensor, uint64_t offset,
                              std::span<std::byte> out) const {
  const TensorInfo& source = base_.get(tensor.name);
  if (!is_rounded(tensor)) return base_.read_from(source, offset, out);
  const float mean = mean_of(tensor);
  const uint64_t span = kSpan * stored_size(tensor.type);
  while (!out.empty()) {
    const uint64_t first = offset / span * span;
    const uint64_t wanted = (offset + out.size() - first + span - 1) / span;
    std::vector<std::byte> bytes(
        std::min(std::min(wanted, kSpansAtATime) * span, tensor.bytes - first));
    base_.read_from(source, first, bytes);
    std::vector<float> values = to_floats(tensor.type, bytes);
    for (size_t at = 0; at < values.size(); at += kSpan)
      round_span(std::span(values).subspan(at, std::min(kSpan, values.size() - at)), mean);
    round_to(tensor.type, values, bytes);
    const size_t count = std::min<uint64_t>(out.size(), bytes.size() - (offset - first));
    std::memcpy(out.data(), bytes.data() + (offset - first), count);
    out = out.subspan(count);
    offset += count;
  }
}

}  // namespace ropewalk
