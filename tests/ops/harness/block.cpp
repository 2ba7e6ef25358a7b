#include "tests/ops/harness/block.h"

#include <algorithm>
#include <cmath>

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::Op;

constexpr uint32_t kHidden = 96, kHeads = 3, kKvHeads = 1, kDim = 32, kInner = 160;
constexpr float kEpsilon = 1e-5f;

// Adds nodes that read and write activations of (R, width), each under a name of its own.
class Builder {
 public:
  Builder(Case& description, Random& random) : case_(description), random_(random) {}

  uint32_t norm(uint32_t x, const std::string& name) {
    const uint32_t y = case_.activation(name, {abi::kRows, kHidden});
    add(Op::rms_norm, {x, case_.vector(name + " weight", random_.values(kHidden))}, y,
        abi::NormParams{kEpsilon});
    return y;
  }
  uint32_t matmul(uint32_t x, const std::string& name, uint32_t depth, std::vector<uint32_t> dims) {
    uint32_t width = 1;
    for (size_t i = 1; i < dims.size(); ++i) width *= dims[i];
    const StoredWeight weight = random_gptq({depth, width, 4, 32, 1, DType::f16}, random_);
    const uint32_t y = case_.activation(name, std::move(dims));
    add(Op::matmul, {x, case_.weight(name + " weight", weight)}, y, {});
    return y;
  }
  // y with the change of two adapters, of ranks 20 and 7.
  uint32_t adapted(uint32_t x, uint32_t y, const std::string& name) {
    const uint32_t changed = case_.activation(name, {abi::kRows, kHidden});
    std::vector<float> b = random_.values(2 * 32 * kHidden);
    for (float& value : b) value /= 16;
    add(Op::low_rank,
        {x, y, case_.matrices(name + " a", {2, kHidden, 32}, random_.values(2 * kHidden * 32)),
         case_.matrices(name + " b", {2, 32, kHidden}, b), case_.ranks(name + " ranks", {20, 7})},
        changed, {});
    return changed;
  }
  uint32_t rope(uint32_t x, const std::string& name, uint32_t heads) {
    const uint32_t y = case_.activation(name, {abi::kRows, heads, kDim});
    add(Op::rope, {x}, y, abi::RopeParams{});
    return y;
  }
  uint32_t sum(uint32_t a, uint32_t b, const std::string& name) {
    const uint32_t y = case_.activation(name, {abi::kRows, kHidden});
    add(Op::add, {a, b}, y, abi::AddParams{});
    return y;
  }
  uint32_t silu_mul(uint32_t gate, uint32_t up, const std::string& name) {
    const uint32_t y = case_.activation(name, {abi::kRows, kInner});
    add(Op::silu_mul, {gate, up}, y, {});
    return y;
  }
  void add(Op op, std::vector<uint32_t> in, uint32_t out, const abi::NodeParams& params) {
    case_.node(op, std::move(in), {out}, params);
  }

 private:
  Case& case_;
  Random& random_;
};

}  // namespace

Block::Block(uint32_t sequence_count) : sequences(sequence_count) {
  Random random(17);
  Case& c = description;
  Builder b(c, random);
  const uint32_t x = c.activation("embedding", {abi::kRows, kHidden});
  const StoredWeight table =
      random_dense(DType::f16, abi::WeightUse::embed, kHidden, kBlockVocab, random);
  b.add(Op::embed, {c.weight("table", table)}, x, abi::EmbedParams{});

  const uint32_t n = b.norm(x, "input norm");
  const uint32_t q =
      b.rope(b.matmul(n, "q", kHidden, {abi::kRows, kHeads, kDim}), "q turned", kHeads);
  const uint32_t k =
      b.rope(b.matmul(n, "k", kHidden, {abi::kRows, kKvHeads, kDim}), "k turned", kKvHeads);
  const uint32_t v = b.matmul(n, "v", kHidden, {abi::kRows, kKvHeads, kDim});
  const std::vector<uint32_t> cache = {sequences * kBlockPages, abi::kDefaultPageTokens, kKvHeads,
                                       kDim};
  const uint32_t keys = c.cache("keys", DType::f16, cache);
  const uint32_t values = c.cache("values", DType::f16, cache);
  c.node(Op::kv_append, {k, v, keys, values}, {}, {});
  const uint32_t o = c.activation("o", {abi::kRows, kHidden});
  b.add(Op::attention, {q, keys, values, c.order("o order", random.permutation(kHidden))}, o,
        abi::AttentionParams{static_cast<float>(1 / std::sqrt(kDim))});
  const uint32_t o_proj = b.matmul(o, "o proj", kHidden, {abi::kRows, kHidden});
  const uint32_t h = b.sum(x, b.adapted(o, o_proj, "o proj adapted"), "after attention");

  const uint32_t m = b.norm(h, "post norm");
  const uint32_t permuted = c.activation("permuted", {abi::kRows, kHidden});
  b.add(Op::permute, {m, c.order("order", random.permutation(kHidden))}, permuted, {});
  // One after the other, in the order in which devices look for them.
  const uint32_t gate = b.matmul(permuted, "gate", kHidden, {abi::kRows, kInner});
  const uint32_t up = b.matmul(permuted, "up", kHidden, {abi::kRows, kInner});
  const uint32_t s = b.silu_mul(gate, up, "inner");
  const uint32_t y = b.sum(h, b.matmul(s, "down", kInner, {abi::kRows, kHidden}), "layer");

  const uint32_t last = c.activation("last", {abi::kWanted, kHidden});
  b.add(Op::select, {y}, last, {});
  const StoredWeight head =
      random_dense(DType::f16, abi::WeightUse::matmul, kHidden, kBlockVocab, random);
  logits = c.logits("logits", {abi::kWanted, kBlockVocab});
  b.add(Op::matmul, {last, c.weight("head", head)}, logits, {});
}

StepData Block::step(uint32_t sequence, uint32_t first, uint32_t count) const {
  StepData step = plain_step(count);
  for (uint32_t r = 0; r < count; ++r) {
    step.position[r] = first + r;
    step.token[r] = static_cast<int32_t>((sequence * 31 + (first + r) * 7) % kBlockVocab);
  }
  step.sequence.assign(count, sequence);
  step.length.assign(sequences, 0);
  step.length[sequence] = first + count;
  for (uint32_t s = 0; s < sequences; ++s) step.adapter.push_back(s % 2);
  step.page.clear();
  for (uint32_t p = 0; p < sequences * kBlockPages; ++p) step.page.push_back(p);
  for (uint32_t i = 0; i < sequences * kDim / 2; ++i)
    step.inv_freq.push_back(static_cast<float>(std::pow(10000.0, -2.0 * (i % (kDim / 2)) / kDim)));
  return step;
}

StepData Block::joined(const StepData& a, const StepData& b) {
  if (a.prompt_rows() == 0 && b.prompt_rows() > 0) return joined(b, a);
  StepData step = a;
  const auto rows = static_cast<uint32_t>(a.position.size());
  step.token.insert(step.token.end(), b.token.begin(), b.token.end());
  step.position.insert(step.position.end(), b.position.begin(), b.position.end());
  step.sequence.insert(step.sequence.end(), b.sequence.begin(), b.sequence.end());
  for (const uint32_t w : b.wanted) step.wanted.push_back(rows + w);
  for (size_t s = 0; s < step.length.size(); ++s)
    step.length[s] = std::max(a.length[s], b.length[s]);
  return step;
}

}  // namespace ropewalk::test
