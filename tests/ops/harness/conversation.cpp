#include "tests/ops/harness/conversation.h"

#include <algorithm>
#include <cmath>

#include "tests/ops/harness/half.h"

namespace ropewalk::test {

using abi::DType;
using abi::KeyRotation;

Conversation::Conversation(const AttentionShape& shape, uint32_t sequences, uint32_t context)
    : shape_(shape),
      sequences_(sequences),
      pages_per_sequence_(abi::pages_for(context, shape.page_tokens)),
      random_(shape.heads * 131 + shape.dim + sequences),
      memory_(sequences) {
  page_ = Random(sequences).permutation(pages());  // not from random_: the text is the same
  page_.resize(uint64_t{sequences} * pages_per_sequence_);
  if (shape.ordered) order_ = random_.permutation(shape.heads * shape.dim);
  for (uint32_t table = 0; table < sequences * (shape.table + 1); ++table)
    for (uint32_t i = 0; i < shape.dim / 2; ++i)
      inv_freq_.push_back(
          static_cast<float>(std::pow(10000.0, -2.0 * i / shape.dim) / (table + 1)));
}

float Conversation::scale() const {
  return static_cast<float>(1 / std::sqrt(static_cast<double>(shape_.dim)));
}

Turn Conversation::next(std::vector<Part> parts) {
  std::ranges::stable_partition(parts, [](const Part& part) { return part.count > 1; });
  Turn turn;
  StepData& step = turn.step;
  for (const Part& part : parts)
    for (uint32_t i = 0; i < part.count; ++i) {
      step.sequence.push_back(part.sequence);
      step.position.push_back(memory_[part.sequence].keys + i);
    }
  const auto rows = static_cast<uint32_t>(step.position.size());
  step.token.assign(rows, 0);
  step.wanted = {rows - 1};
  step.page = page_;
  step.inv_freq = inv_freq_;
  turn.q = random_.values(uint64_t{rows} * shape_.heads * shape_.dim);
  turn.k = random_.values(uint64_t{rows} * shape_.kv_heads * shape_.dim);
  turn.v = random_.values(uint64_t{rows} * shape_.kv_heads * shape_.dim);
  for (float& q : turn.q) q *= 4;  // sharp enough that a wrong key shows

  const uint64_t width = uint64_t{shape_.kv_heads} * shape_.dim;
  for (uint32_t r = 0; r < rows; ++r) {
    Memory& memory = memory_[step.sequence[r]];
    remember(turn.k, r * width, memory.k);
    remember(turn.v, r * width, memory.v);
    ++memory.keys;
  }
  for (const Memory& memory : memory_) step.length.push_back(memory.keys);
  for (uint32_t r = 0; r < rows; ++r) {
    const std::vector<double> y = attend(turn, r);
    turn.truth.insert(turn.truth.end(), y.begin(), y.end());
  }
  return turn;
}

// One token's heads as the cache's type holds them.
void Conversation::remember(const std::vector<float>& from, uint64_t first,
                            std::vector<double>& to) const {
  for (uint32_t head = 0; head < shape_.kv_heads; ++head) {
    const float* x = from.data() + first + uint64_t{head} * shape_.dim;
    double max = 0;
    for (uint32_t i = 0; i < shape_.dim; ++i)
      max = std::max(max, std::fabs(static_cast<double>(x[i])));
    for (uint32_t i = 0; i < shape_.dim; ++i) {
      const double value = static_cast<double>(x[i]);
      if (shape_.cache == DType::f32)
        to.push_back(value);
      else if (shape_.cache == DType::f16)
        to.push_back(rounded_to_f16(value));
      else
        to.push_back(max > 0 ? rounded_to_f16(max / 127) * std::nearbyint(value * 127 / max) : 0);
    }
  }
}

void Conversation::rotate(double* head, uint32_t position, uint32_t sequence) const {
  const uint32_t half = shape_.dim / 2;
  const uint32_t table = sequence * (shape_.table + 1) + shape_.table;
  for (uint32_t i = 0; i < half; ++i) {
    // The angle in f32, by the law.
    const float angle = static_cast<float>(position) * inv_freq_[table * half + i];
    const double c = std::cos(static_cast<double>(angle)), s = std::sin(static_cast<double>(angle));
    const double low = head[i], high = head[i + half];
    head[i] = low * c - high * s;
    head[i + half] = high * c + low * s;
  }
}

std::vector<double> Conversation::rotated(const StepData& step, const std::vector<float>& x) const {
  std::vector<double> y(x.begin(), x.end());
  const uint64_t width = y.size() / step.position.size();
  for (uint64_t r = 0; r < step.position.size(); ++r)
    for (uint64_t head = 0; head < width / shape_.dim; ++head)
      rotate(y.data() + r * width + head * shape_.dim, step.position[r], step.sequence[r]);
  return y;
}

std::vector<double> Conversation::attend(const Turn& turn, uint32_t row) const {
  const uint32_t dim = shape_.dim, sequence = turn.step.sequence[row];
  const uint32_t keys = turn.step.position[row] + 1;
  const uint32_t hidden = shape_.window && keys > shape_.window ? keys - shape_.window : 0;
  const auto cap = static_cast<double>(shape_.soft_cap);
  const bool rotates = shape_.rotation == KeyRotation::on_read;
  const Memory& memory = memory_[sequence];
  std::vector<double> o;
  for (uint32_t head = 0; head < shape_.heads; ++head) {
    const uint32_t kv_head = head / (shape_.heads / shape_.kv_heads);
    const float* first = turn.q.data() + (uint64_t{row} * shape_.heads + head) * dim;
    std::vector<double> q(first, first + dim), scores(keys), result(dim);
    if (rotates) rotate(q.data(), keys - 1, sequence);
    double max = -INFINITY, sum = 0;
    for (uint32_t j = hidden; j < keys; ++j) {
      const double* at = memory.k.data() + (uint64_t{j} * shape_.kv_heads + kv_head) * dim;
      std::vector<double> k(at, at + dim);
      if (rotates) rotate(k.data(), j, sequence);
      for (uint32_t i = 0; i < dim; ++i) scores[j] += q[i] * k[i];
      scores[j] *= static_cast<double>(scale());
      if (cap > 0) scores[j] = cap * std::tanh(scores[j] / cap);
      max = std::max(max, scores[j]);
    }
    for (uint32_t j = hidden; j < keys; ++j) sum += scores[j] = std::exp(scores[j] - max);
    for (uint32_t j = hidden; j < keys; ++j)
      for (uint32_t i = 0; i < dim; ++i)
        result[i] +=
            scores[j] / sum * memory.v[(uint64_t{j} * shape_.kv_heads + kv_head) * dim + i];
    o.insert(o.end(), result.begin(), result.end());
  }
  if (!shape_.ordered) return o;
  std::vector<double> y;
  for (const uint32_t i : order_) y.push_back(o[i]);
  return y;
}

AttentionCase::AttentionCase(const AttentionShape& shape, const Conversation& conversation) {
  const std::vector<uint32_t> dims = {conversation.pages(), shape.page_tokens, shape.kv_heads,
                                      shape.dim};
  q = description.activation("q", {abi::kRows, shape.heads, shape.dim});
  k = description.activation("k", {abi::kRows, shape.kv_heads, shape.dim});
  v = description.activation("v", {abi::kRows, shape.kv_heads, shape.dim});
  y = description.activation("y", {abi::kRows, shape.heads * shape.dim});
  const uint32_t keys = description.cache("keys", shape.cache, dims);
  const uint32_t values = description.cache("values", shape.cache, dims);
  description.node(abi::Op::kv_append, {k, v, keys, values}, {}, {});
  std::vector<uint32_t> in = {q, keys, values};
  if (shape.ordered) in.push_back(description.order("order", conversation.order()));
  description.node(abi::Op::attention, in, {y},
                   abi::AttentionParams{conversation.scale(), shape.rotation, shape.window,
                                        shape.soft_cap, shape.table});
}

}  // namespace ropewalk::test
