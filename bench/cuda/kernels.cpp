#include "bench/cuda/kernels.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "backends/cuda/ops/page_layout.h"
#include "core/abi/random_fill.h"
#include "tests/ops/harness/half.h"
#include "tests/ops/harness/stored_weight.h"

namespace ropewalk::cuda::bench {
namespace {

using abi::DType;
using abi::Op;
using test::Random;
using test::StoredWeight;

constexpr uint32_t kSampledColumns = 8;
constexpr float kEpsilon = 1e-5f;  // of norms

StoredWeight gptq(uint32_t depth, uint32_t width, Random& random) {
  return test::random_gptq({depth, width, 4, 32, 1, DType::f16}, random);
}

StoredWeight dense(uint32_t depth, uint32_t width, Random& random) {
  StoredWeight weight;
  weight.shape.use = abi::WeightUse::matmul;
  weight.shape.dtype = DType::f16;
  weight.shape.rows = depth;
  weight.shape.cols = width;
  std::vector<uint32_t> words(uint64_t{depth} * width / 2);
  for (uint32_t& word : words) word = abi::random_halves(random.word());
  weight.dense.resize(words.size() * sizeof(uint32_t));
  std::memcpy(weight.dense.data(), words.data(), weight.dense.size());
  return weight;
}

// A layer's data on the host; every layer of a chain has a copy of its own on the device.
struct Layer {
  std::vector<StoredWeight> weights;
  std::vector<float> x, other;  // (rows, width)
  uint32_t depth = 0, width = 0;

  double product(uint32_t weight, uint32_t row, uint32_t column) const {
    double sum = 0;
    for (uint32_t k = 0; k < depth; ++k)
      sum += static_cast<double>(x[uint64_t{row} * depth + k]) * weights[weight].at(k, column);
    return sum;
  }
};

double silu(double x) { return x / (1 + std::exp(-x)); }

std::vector<Sample> some_of(uint32_t rows, uint32_t width,
                            const std::function<double(uint32_t, uint32_t)>& truth) {
  std::vector<Sample> samples;
  for (const uint32_t row : {0u, rows - 1})
    for (uint32_t i = 0; i < kSampledColumns; ++i) {
      const uint32_t column =
          static_cast<uint32_t>(uint64_t{width - 1} * i / (kSampledColumns - 1));
      samples.push_back({row, column, truth(row, column)});
    }
  return samples;
}

double norm_factor(const float* x, uint32_t width) {
  double squares = 0;
  for (uint32_t i = 0; i < width; ++i) squares += static_cast<double>(x[i]) * x[i];
  return 1 / std::sqrt(squares / width + double{kEpsilon});
}

// What is in front of a step's products, and their epilogue.
enum class Front { none, norm };
enum class End { none, add, silu_mul, append };

// As many weights of (depth, width) each as `end` takes; for `append` those of queries, keys and
// values.
Kernel products(Machine& machine, const Sizes& sizes, std::vector<StoredWeight> weights,
                Front front, End end) {
  auto layer = std::make_shared<Layer>();
  layer->weights = std::move(weights);
  layer->depth = layer->weights[0].shape.rows;
  layer->width = layer->weights[0].shape.cols;
  Random random(2);
  layer->x = random.values(uint64_t{sizes.rows} * layer->depth);
  layer->other = random.values(uint64_t{sizes.rows} * layer->width);

  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  uint32_t x = chain.activation(sizes.rows, {layer->depth});
  const uint32_t before = x;
  const std::vector<float> given = layer->x;
  uint32_t norm_weight = 0;
  if (front == Front::norm) {
    norm_weight = chain.vector(layer->depth);
    x = chain.activation(sizes.rows, {layer->depth});
    for (uint32_t r = 0; r < sizes.rows; ++r) {
      float* row = layer->x.data() + uint64_t{r} * layer->depth;
      const double factor = norm_factor(row, layer->depth);
      for (uint32_t i = 0; i < layer->depth; ++i) row[i] = static_cast<float>(row[i] * factor);
    }
  }
  const std::vector<uint32_t> shape =
      end == End::append ? std::vector{sizes.heads, sizes.head_dim} : std::vector{layer->width};
  std::vector<uint32_t> sums;
  for (size_t i = 0; i < layer->weights.size(); ++i)
    sums.push_back(chain.activation(sizes.rows, shape));
  const uint32_t y = end == End::none ? sums[0] : chain.activation(sizes.rows, shape);
  uint32_t other = 0, rotated = 0, keys = 0, values = 0;
  if (end == End::add) other = chain.activation(sizes.rows, shape);
  if (end == End::append) {
    rotated = chain.activation(sizes.rows, shape);
    for (uint32_t* cache : {&keys, &values})
      *cache = chain.cache(DType::f16, sizes.sequences, sizes.heads, sizes.head_dim);
  }
  std::vector<uint32_t> places;
  double packed = 0;
  for (uint32_t l = 0; l < sizes.layers; ++l) {
    if (front == Front::norm) {
      chain.node(Op::rms_norm, {before, norm_weight}, {x}, abi::NormParams{kEpsilon});
      chain.end_launch({});
    }
    for (size_t i = 0; i < layer->weights.size(); ++i) {
      places.push_back(chain.weight(layer->weights[i].view()));
      chain.node(Op::matmul, {x, places.back()}, {sums[i]}, {});
    }
    if (end == End::add) chain.node(Op::add, {other, sums[0]}, {y}, abi::AddParams{});
    if (end == End::silu_mul) chain.node(Op::silu_mul, {sums[0], sums[1]}, {y}, {});
    if (end == End::append) {
      chain.node(Op::rope, {sums[0]}, {y}, abi::RopeParams{1});
      chain.node(Op::rope, {sums[1]}, {rotated}, abi::RopeParams{1});
      chain.node(Op::kv_append, {rotated, sums[2], keys, values}, {}, {});
    }
    std::vector<uint32_t> hidden = end == End::none ? std::vector<uint32_t>{} : sums;
    if (end == End::append) hidden.push_back(rotated);
    chain.end_step(hidden);
  }
  chain.place();
  chain.set(before, given);
  if (front == Front::norm) chain.set(norm_weight, std::vector<float>(layer->depth, 1.0f));
  if (end == End::add) chain.set(other, layer->other);
  for (size_t i = 0; i < places.size(); ++i)
    packed += chain.pack(places[i], layer->weights[i % layer->weights.size()].view());
  packed /= chain.steps();

  kernel.output = y;
  const double parts = static_cast<double>(layer->weights.size());
  kernel.work = [=](const StepSize& size) -> Work {
    const double rows = size.rows, depth = layer->depth, width = layer->width;
    const double written = end == End::append ? width * (4 + 2 + 2) : width * 4;
    const double read = depth * 4 + (end == End::add ? width * 4 : 0);
    return {packed + rows * (read + written), 2 * rows * depth * width * parts};
  };
  kernel.samples = [=](const StepSize& size) {
    return some_of(size.rows, layer->width, [&](uint32_t row, uint32_t column) {
      const double sum = layer->product(0, row, column);
      if (end == End::silu_mul) return silu(sum) * layer->product(1, row, column);
      if (end == End::add)
        return sum + static_cast<double>(layer->other[uint64_t{row} * layer->width + column]);
      return sum;
    });
  };
  return kernel;
}

Kernel make_products(Machine& machine, const Sizes& sizes, uint32_t depth, uint32_t width,
                     uint32_t count, Front front, End end) {
  Random random(1);
  std::vector<StoredWeight> weights;
  for (uint32_t i = 0; i < count; ++i) weights.push_back(gptq(depth, width, random));
  return products(machine, sizes, std::move(weights), front, end);
}

// Few steps: the weight alone is larger than any cache.
Kernel make_lm_head(Machine& machine, const Sizes& sizes) {
  Random random(1);
  Sizes one = sizes;
  one.layers = 4;
  return products(machine, one, {dense(sizes.hidden, sizes.vocab, random)}, Front::none, End::none);
}

Kernel make_norm(Machine& machine, const Sizes& sizes) {
  auto layer = std::make_shared<Layer>();
  Random random(2);
  layer->x = random.values(uint64_t{sizes.rows} * sizes.hidden);
  layer->other = random.values(sizes.hidden);  // the norm's weight
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  const uint32_t x = chain.activation(sizes.rows, {sizes.hidden});
  kernel.output = chain.activation(sizes.rows, {sizes.hidden});
  const uint32_t weight = chain.vector(sizes.hidden);
  for (uint32_t l = 0; l < sizes.layers; ++l) {
    chain.node(Op::rms_norm, {x, weight}, {kernel.output}, abi::NormParams{kEpsilon});
    chain.end_step({});
  }
  chain.place();
  chain.set(x, layer->x);
  chain.set(weight, layer->other);
  const uint32_t hidden = sizes.hidden;
  kernel.work = [=](const StepSize& size) -> Work {
    return {4.0 * hidden * (2 * size.rows + 1), 0};
  };
  kernel.samples = [=](const StepSize& size) {
    return some_of(size.rows, hidden, [&](uint32_t row, uint32_t column) {
      const float* at = layer->x.data() + uint64_t{row} * hidden;
      return at[column] * norm_factor(at, hidden) * layer->other[column];
    });
  };
  return kernel;
}

// Keys or values of a head, (context, head_dim), from the device.
std::vector<double> head_of(const Chain& chain, uint32_t cache, const PageLayout& l, uint32_t head,
                            uint32_t first_page, uint32_t context) {
  std::vector<double> all;
  const auto half_at = [](const std::vector<std::byte>& bytes, size_t i) {
    uint16_t half = 0;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    return test::f16_value(half);
  };
  for (uint32_t key = 0; key < context; key += abi::kDefaultPageTokens) {
    const uint64_t page = (first_page + key / abi::kDefaultPageTokens) * page_bytes(l);
    const uint32_t count = std::min(abi::kDefaultPageTokens, context - key);
    const std::vector<std::byte> elements = chain.get_bytes(
        cache, page + elements_at(l, head, 0), uint64_t{count} * l.head_dim * l.element_bytes);
    std::vector<std::byte> scales;
    if (l.element_bytes == 1)
      scales = chain.get_bytes(cache, page + scale_at(l, head, 0), uint64_t{count} * kScaleBytes);
    for (uint32_t i = 0; i < count * l.head_dim; ++i)
      all.push_back(l.element_bytes == 2
                        ? half_at(elements, i)
                        : half_at(scales, i / l.head_dim) * static_cast<int8_t>(elements[i]));
  }
  return all;
}

Kernel make_attention(Machine& machine, const Sizes& sizes, DType type) {
  const uint32_t pages =
      sizes.cache_sequences * abi::pages_for(sizes.context, abi::kDefaultPageTokens);
  const uint32_t d = sizes.head_dim, heads = sizes.heads;
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  const uint32_t q = chain.activation(sizes.rows, {heads, d});
  kernel.output = chain.activation(sizes.rows, {heads * d});
  const float scale = 1 / std::sqrt(static_cast<float>(d));
  std::vector<uint32_t> caches;
  for (uint32_t l = 0; l < sizes.cache_layers; ++l) {
    for (int i = 0; i < 2; ++i) caches.push_back(chain.cache(type, pages, heads, d));
    const auto& [keys, values] = std::pair(caches[caches.size() - 2], caches.back());
    chain.node(Op::attention, {q, keys, values}, {kernel.output},
               abi::AttentionParams{scale, abi::KeyRotation::before_cache});
    chain.end_step({});
  }
  chain.place();
  for (uint32_t i = 0; i < caches.size(); ++i) chain.fill(caches[i], i);
  // An int8 cache of random codes and scales has keys of some 30 instead of 0.3.
  auto queries =
      std::make_shared<std::vector<float>>(Random(3).values(uint64_t{sizes.rows} * heads * d));
  if (type == DType::i8)
    for (float& value : *queries) value /= 64;
  chain.set(q, *queries);

  const PageLayout layout{heads, d, type == DType::i8 ? 1u : 2u,
                          static_cast<uint32_t>(std::countr_zero(abi::kDefaultPageTokens))};
  kernel.work = [=](const StepSize& size) -> Work {
    const double keys = double{1} * size.sequences * size.context * heads;
    const double of_key = d * layout.element_bytes + (layout.element_bytes == 1 ? 2 : 0);
    const double seen = size.rows * (size.context - (size.rows / size.sequences - 1) / 2.0);
    return {2 * keys * of_key + 8.0 * size.rows * heads * d, 4.0 * seen * heads * d};
  };
  kernel.samples = [=, &chain](const StepSize& size) {
    std::vector<Sample> samples;
    const uint32_t each = size.rows / size.sequences;
    const uint32_t per_sequence = abi::pages_for(size.context, abi::kDefaultPageTokens);
    for (const auto& [row, head] : {std::pair{0u, 0u}, std::pair{size.rows - 1, heads - 1}}) {
      const uint32_t seen = size.context - each + row % each + 1;
      const auto of = [&](uint32_t cache) {
        return head_of(chain, cache, layout, head, row / each * per_sequence, seen);
      };
      const std::vector<double> keys = of(caches[caches.size() - 2]), values = of(caches.back());
      const float* at = queries->data() + (uint64_t{row} * heads + head) * d;
      std::vector<double> scores(seen), sums(d);
      double most = -INFINITY, total = 0;
      for (uint32_t j = 0; j < seen; ++j) {
        for (uint32_t i = 0; i < d; ++i) scores[j] += at[i] * keys[uint64_t{j} * d + i];
        scores[j] *= static_cast<double>(scale);
        most = std::max(most, scores[j]);
      }
      for (uint32_t j = 0; j < seen; ++j) {
        const double weight = std::exp(scores[j] - most);
        total += weight;
        for (uint32_t i = 0; i < d; ++i) sums[i] += weight * values[uint64_t{j} * d + i];
      }
      for (uint32_t i = 0; i < d; ++i) samples.push_back({row, head * d + i, sums[i] / total});
    }
    return samples;
  };
  return kernel;
}

}  // namespace

std::vector<KernelName> kernel_names() {
  const auto of = [](auto depth, auto width, uint32_t count, Front front, End end) {
    return [=](Machine& machine, const Sizes& sizes) {
      return make_products(machine, sizes, sizes.*depth, sizes.*width, count, front, end);
    };
  };
  const auto attention = [](DType type) {
    return
        [=](Machine& machine, const Sizes& sizes) { return make_attention(machine, sizes, type); };
  };
  return {{"qkv", of(&Sizes::hidden, &Sizes::hidden, 3, Front::none, End::append)},
          {"norm_qkv", of(&Sizes::hidden, &Sizes::hidden, 3, Front::norm, End::append)},
          {"o", of(&Sizes::hidden, &Sizes::hidden, 1, Front::none, End::add)},
          {"gate_up", of(&Sizes::hidden, &Sizes::intermediate, 2, Front::none, End::silu_mul)},
          {"down", of(&Sizes::intermediate, &Sizes::hidden, 1, Front::none, End::add)},
          {"lm_head", make_lm_head},
          {"attention", attention(DType::f16)},
          {"attention_int8", attention(DType::i8)},
          {"norm", make_norm}};
}

}  // namespace ropewalk::cuda::bench
