#include <bit>
#include <cmath>
#include <cstring>

#include "backends/cuda/ops/page_layout.h"
#include "bench/cuda/makers.h"
#include "tests/ops/harness/half.h"

namespace ropewalk::cuda::bench {
namespace {

using abi::DType;
using abi::Op;
using test::Random;
using test::StoredWeight;

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

// Attention of a chain: its data on the host, and its tensors. Each step has a cache of its own;
// that of the last one is what the output comes from.
struct AttentionData {
  uint32_t heads, head_dim, q = 0, keys = 0, values = 0;
  PageLayout layout;
  std::vector<float> queries;  // (rows, heads, head_dim)
  std::vector<uint32_t> caches;

  AttentionData(const Sizes& sizes, DType type)
      : heads(sizes.heads),
        head_dim(sizes.head_dim),
        layout{heads, head_dim, type == DType::i8 ? 1u : 2u,
               static_cast<uint32_t>(std::countr_zero(abi::kDefaultPageTokens))},
        queries(Random(3).values(uint64_t{sizes.rows} * heads * head_dim)) {
    // An int8 cache of random codes and scales has keys of some 30 instead of 0.3.
    if (type == DType::i8)
      for (float& value : queries) value /= 64;
  }

  float scale() const { return 1 / std::sqrt(static_cast<float>(head_dim)); }
  abi::AttentionParams params() const { return {scale(), abi::KeyRotation::before_cache}; }

  void add_cache(Chain& chain, uint32_t pages) {
    const DType type = layout.element_bytes == 1 ? DType::i8 : DType::f16;
    for (uint32_t* cache : {&keys, &values}) {
      *cache = chain.cache(type, pages, heads, head_dim);
      caches.push_back(*cache);
    }
  }
  void set(Chain& chain) const {
    for (uint32_t i = 0; i < caches.size(); ++i) chain.fill(caches[i], i);
    chain.set(q, queries);
  }

  Work work(const StepSize& size) const {
    const double all_keys = double{1} * size.sequences * size.context * heads;
    const double of_key = head_dim * layout.element_bytes + (layout.element_bytes == 1 ? 2 : 0);
    const double seen = size.rows * (size.context - (size.rows / size.sequences - 1) / 2.0);
    return {2 * all_keys * of_key + 8.0 * size.rows * heads * head_dim,
            4.0 * seen * heads * head_dim};
  }

  // The output of a head.
  std::vector<double> truth(const Chain& chain, const StepSize& size, uint32_t row,
                            uint32_t head) const {
    const uint32_t d = head_dim, each = size.rows / size.sequences;
    const uint32_t per_sequence = abi::pages_for(size.context, abi::kDefaultPageTokens);
    const uint32_t seen = size.context - each + row % each + 1;
    const auto of = [&](uint32_t cache) {
      return head_of(chain, cache, layout, head, row / each * per_sequence, seen);
    };
    const std::vector<double> k = of(keys), v = of(values);
    const float* at = queries.data() + (uint64_t{row} * heads + head) * d;
    std::vector<double> scores(seen), sums(d);
    double most = -INFINITY, total = 0;
    for (uint32_t j = 0; j < seen; ++j) {
      for (uint32_t i = 0; i < d; ++i) scores[j] += at[i] * k[uint64_t{j} * d + i];
      scores[j] *= static_cast<double>(scale());
      most = std::max(most, scores[j]);
    }
    for (uint32_t j = 0; j < seen; ++j) {
      const double weight = std::exp(scores[j] - most);
      total += weight;
      for (uint32_t i = 0; i < d; ++i) sums[i] += weight * v[uint64_t{j} * d + i];
    }
    for (double& sum : sums) sum /= total;
    return sums;
  }
};

}  // namespace

Kernel make_attention(Machine& machine, const Sizes& sizes, DType type) {
  auto data = std::make_shared<AttentionData>(sizes, type);
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  const uint32_t pages =
      sizes.cache_sequences * abi::pages_for(sizes.context, abi::kDefaultPageTokens);
  const uint32_t heads = sizes.heads, d = sizes.head_dim;
  data->q = chain.activation(sizes.rows, {heads, d});
  kernel.output = chain.activation(sizes.rows, {heads * d});
  for (uint32_t l = 0; l < sizes.cache_layers; ++l) {
    data->add_cache(chain, pages);
    chain.node(Op::attention, {data->q, data->keys, data->values}, {kernel.output}, data->params());
    chain.end_step({});
  }
  chain.place();
  data->set(chain);
  kernel.work = [=](const StepSize& size) { return data->work(size); };
  kernel.samples = [=, &chain](const StepSize& size) {
    std::vector<Sample> samples;
    for (const auto& [row, head] : {std::pair{0u, 0u}, std::pair{size.rows - 1, heads - 1}}) {
      const std::vector<double> truth = data->truth(chain, size, row, head);
      for (uint32_t i = 0; i < d; ++i) samples.push_back({row, head * d + i, truth[i]});
    }
    return samples;
  };
  return kernel;
}

Kernel make_attention_o(Machine& machine, const Sizes& sizes) {
  const uint32_t heads = sizes.heads, width = sizes.hidden;
  auto data = std::make_shared<AttentionData>(sizes, DType::f16);
  Random random(4);
  auto weight = std::make_shared<StoredWeight>(random_packed(width, width, random));
  auto order = std::make_shared<std::vector<uint32_t>>(random.permutation(width));
  auto residual = std::make_shared<std::vector<float>>(random.values(uint64_t{sizes.rows} * width));
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  const uint32_t pages =
      sizes.cache_sequences * abi::pages_for(short_context(sizes), abi::kDefaultPageTokens);
  data->q = chain.activation(sizes.rows, {heads, sizes.head_dim});
  const auto activation = [&] { return chain.activation(sizes.rows, {width}); };
  uint32_t x = activation();
  const uint32_t sum = activation(), other = activation();
  kernel.output = activation();
  const uint32_t at_order = chain.order(width);
  std::vector<uint32_t> places;
  for (uint32_t l = 0; l < sizes.layers; ++l) {
    data->add_cache(chain, pages);
    if (l > 0) x = chain.again(x);
    chain.node(Op::attention, {data->q, data->keys, data->values, at_order}, {x}, data->params());
    chain.end_launch({});
    places.push_back(chain.weight(weight->view()));
    chain.node(Op::matmul, {x, places.back()}, {sum}, {});
    chain.node(Op::add, {other, sum}, {kernel.output}, abi::AddParams{});
    chain.end_step({sum});
  }
  chain.place();
  data->set(chain);
  chain.set_order(at_order, *order);
  chain.set(other, *residual);
  double packed = 0;
  for (const uint32_t place : places) packed = chain.pack(place, weight->view());
  kernel.work = [=](const StepSize& size) -> Work {
    const Work attention = data->work(size);
    const double w = width, rows = size.rows;
    return {attention.bytes + packed + 12 * rows * w, attention.flop + 2 * rows * w * w};
  };
  kernel.samples = [=, &chain](const StepSize& size) {
    std::vector<std::vector<double>> rows(size.rows);  // attention's output, computed once
    return samples_of(size.rows, width, [&](uint32_t row, uint32_t column) {
      std::vector<double>& y = rows[row];
      for (uint32_t head = static_cast<uint32_t>(y.size()) / sizes.head_dim; head < heads; ++head) {
        const std::vector<double> of_head = data->truth(chain, size, row, head);
        y.insert(y.end(), of_head.begin(), of_head.end());
      }
      double all = static_cast<double>((*residual)[uint64_t{row} * width + column]);
      for (uint32_t k = 0; k < width; ++k) all += y[(*order)[k]] * weight->at(k, column);
      return all;
    });
  };
  return kernel;
}

}  // namespace ropewalk::cuda::bench
