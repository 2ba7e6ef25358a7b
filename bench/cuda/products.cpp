#include <cmath>
#include <cstring>
#include <optional>

#include "bench/cuda/makers.h"
#include "core/abi/random_fill.h"
#include "tests/ops/harness/half.h"

namespace ropewalk::cuda::bench {
namespace {

using abi::DType;
using abi::Op;
using test::Random;
using test::StoredWeight;

constexpr uint32_t kSampledColumns = 8;
constexpr float kEpsilon = 1e-5f;  // of norms

StoredWeight random_halves_of(uint32_t depth, uint32_t width, abi::WeightUse use) {
  StoredWeight weight;
  weight.shape.use = use;
  weight.shape.dtype = DType::f16;
  weight.shape.rows = depth;
  weight.shape.cols = width;
  Random random(1);
  std::vector<uint32_t> words(uint64_t{depth} * width / 2);
  for (uint32_t& word : words) word = abi::random_halves(random.word());
  weight.dense.resize(words.size() * sizeof(uint32_t));
  std::memcpy(weight.dense.data(), words.data(), weight.dense.size());
  return weight;
}

double product(const float* x, const StoredWeight& weight, uint32_t column) {
  double sum = 0;
  for (uint32_t k = 0; k < weight.shape.rows; ++k)
    sum += static_cast<double>(x[k]) * weight.at(k, column);
  return sum;
}

double silu(double x) { return x / (1 + std::exp(-x)); }

double norm_factor(const float* x, uint32_t width) {
  double squares = 0;
  for (uint32_t i = 0; i < width; ++i) squares += static_cast<double>(x[i]) * x[i];
  return 1 / std::sqrt(squares / width + double{kEpsilon});
}

// A norm of a chain, its data on the host, and its output. All steps share it.
struct Norm {
  std::vector<float> x, weight;  // (rows, width); (width)
  std::vector<uint32_t> order;   // (width), or empty
  uint32_t at_x = 0, at_weight = 0, at_order = 0;

  Norm(uint32_t rows, uint32_t width, bool has_order) {
    Random random(2);
    x = random.values(uint64_t{rows} * width);
    weight = random.values(width);
    if (has_order) order = random.permutation(width);
  }
  void add_tensors(Chain& chain, uint32_t rows) {
    const auto width = static_cast<uint32_t>(weight.size());
    at_x = chain.activation(rows, {width});
    at_weight = chain.vector(width);
    if (!order.empty()) at_order = chain.order(width);
  }
  void add_node(Chain& chain, uint32_t x_of_node, uint32_t y) const {
    std::vector<uint32_t> in = {x_of_node, at_weight};
    if (!order.empty()) in.push_back(at_order);
    chain.node(Op::rms_norm, in, {y}, abi::NormParams{kEpsilon});
  }
  void set(Chain& chain) const {
    chain.set(at_x, x);
    chain.set(at_weight, weight);
    if (!order.empty()) chain.set_order(at_order, order);
  }
  std::vector<float> row(uint32_t r) const {
    const auto width = static_cast<uint32_t>(weight.size());
    const float* from = x.data() + uint64_t{r} * width;
    const double factor = norm_factor(from, width);
    std::vector<float> y(width);
    for (uint32_t i = 0; i < width; ++i) {
      const uint32_t j = order.empty() ? i : order[i];
      y[i] = static_cast<float>(from[j] * factor * static_cast<double>(weight[j]));
    }
    return y;
  }
};

// The data of a step on the host; every step of a chain has weights of its own on the device.
struct Layer {
  std::vector<StoredWeight> weights;
  std::vector<float> x, other;  // (rows, depth) and (rows, width)
};

// Column n + kPeriod equals column n, so that a product of all columns is soon computed here. It is
// no multiple of a tile, so that tiles differ.
constexpr uint32_t kPeriod = 104;
void repeat_columns(StoredWeight& weight) {
  const uint32_t cols = weight.shape.cols, groups = weight.shape.groups();
  const auto repeat = [](auto* row, uint32_t count, uint32_t period) {
    for (uint32_t n = period; n < count; ++n) row[n] = row[n - period];
  };
  for (uint64_t r = 0; r < weight.qweight.size() / cols; ++r)
    repeat(weight.qweight.data() + r * cols, cols, kPeriod);
  for (uint64_t g = 0; g < groups; ++g) {
    repeat(weight.qzeros.data() + g * (cols / 8), cols / 8, kPeriod / 8);
    repeat(reinterpret_cast<uint16_t*>(weight.scales.data()) + g * cols, cols, kPeriod);
  }
}

}  // namespace

StoredWeight random_packed(uint32_t depth, uint32_t width, Random& random) {
  return test::random_gptq({depth, width, 4, 32, 1, DType::f16}, random);
}

std::vector<Sample> samples_of(uint32_t rows, uint32_t width,
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

Kernel make_products(Machine& machine, const Sizes& sizes, const ProductSizes& product_sizes) {
  const auto [depth, width, count, front, end] = product_sizes;
  auto layer = std::make_shared<Layer>();
  Random random(1);
  for (uint32_t i = 0; i < count; ++i)
    layer->weights.push_back(random_packed(depth, width, random));
  layer->other = random.values(uint64_t{sizes.rows} * width);

  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  uint32_t x = chain.activation(sizes.rows, {depth});
  std::optional<Norm> norm;
  if (front == Front::norm) {
    norm.emplace(sizes.rows, depth, true);
    norm->add_tensors(chain, sizes.rows);
    for (uint32_t r = 0; r < sizes.rows; ++r) {
      const std::vector<float> row = norm->row(r);
      layer->x.insert(layer->x.end(), row.begin(), row.end());
    }
  } else {
    layer->x = random.values(uint64_t{sizes.rows} * depth);
  }
  const std::vector<uint32_t> shape =
      end == End::append ? std::vector{sizes.heads, sizes.head_dim} : std::vector{width};
  std::vector<uint32_t> sums;
  for (uint32_t i = 0; i < count; ++i) sums.push_back(chain.activation(sizes.rows, shape));
  const uint32_t y = end == End::none ? sums[0] : chain.activation(sizes.rows, shape);
  uint32_t other = 0, rotated = 0, keys = 0, values = 0;
  if (end == End::add) other = chain.activation(sizes.rows, shape);
  if (end == End::append) {
    rotated = chain.activation(sizes.rows, shape);
    for (uint32_t* cache : {&keys, &values})
      *cache = chain.cache(DType::f16, sizes.sequences, sizes.heads, sizes.head_dim);
  }
  std::vector<uint32_t> places;
  for (uint32_t l = 0; l < sizes.layers; ++l) {
    if (norm) {
      if (l > 0) x = chain.again(x);
      norm->add_node(chain, norm->at_x, x);
      chain.end_launch({});
    }
    for (uint32_t i = 0; i < count; ++i) {
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
  if (norm)
    norm->set(chain);
  else
    chain.set(x, layer->x);
  if (end == End::add) chain.set(other, layer->other);
  double packed = 0;
  for (size_t i = 0; i < places.size(); ++i)
    packed += chain.pack(places[i], layer->weights[i % count].view());
  packed /= chain.steps();

  kernel.output = y;
  kernel.work = [=, d = double{1} * depth, w = double{1} * width](const StepSize& size) -> Work {
    const double written = end == End::append ? w * (4 + 2 + 2) : w * 4;
    const double read = d * 4 + (end == End::add ? w * 4 : 0);
    return {packed + size.rows * (read + written), 2 * size.rows * d * w * count};
  };
  kernel.samples = [=, d = depth, w = width, e = end](const StepSize& size) {
    return samples_of(size.rows, w, [&](uint32_t row, uint32_t column) {
      const float* at = layer->x.data() + uint64_t{row} * d;
      const double sum = product(at, layer->weights[0], column);
      if (e == End::silu_mul) return silu(sum) * product(at, layer->weights[1], column);
      if (e == End::add) return sum + static_cast<double>(layer->other[uint64_t{row} * w + column]);
      return sum;
    });
  };
  return kernel;
}

Kernel make_norm_mlp(Machine& machine, const Sizes& sizes) {
  const uint32_t hidden = sizes.hidden, width = sizes.intermediate;
  auto layer = std::make_shared<Layer>();
  auto norm = std::make_shared<Norm>(sizes.rows, hidden, true);
  Random random(1);
  for (int i = 0; i < 2; ++i) {
    layer->weights.push_back(random_packed(hidden, width, random));
    repeat_columns(layer->weights.back());
  }
  layer->weights.push_back(random_packed(width, hidden, random));
  layer->other = random.values(uint64_t{sizes.rows} * hidden);

  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  const auto activation = [&](uint32_t size) { return chain.activation(sizes.rows, {size}); };
  norm->add_tensors(chain, sizes.rows);
  uint32_t x = activation(hidden), gated = activation(width);
  const uint32_t gate = activation(width), up = activation(width), sum = activation(hidden),
                 other = activation(hidden);
  kernel.output = activation(hidden);
  std::vector<uint32_t> places;
  const auto weight = [&](uint32_t i) {
    places.push_back(chain.weight(layer->weights[i].view()));
    return places.back();
  };
  for (uint32_t l = 0; l < sizes.layers; ++l) {
    if (l > 0) {
      x = chain.again(x);
      gated = chain.again(gated);
    }
    norm->add_node(chain, norm->at_x, x);
    chain.end_launch({});
    chain.node(Op::matmul, {x, weight(0)}, {gate}, {});
    chain.node(Op::matmul, {x, weight(1)}, {up}, {});
    chain.node(Op::silu_mul, {gate, up}, {gated}, {});
    chain.end_launch({gate, up});
    chain.node(Op::matmul, {gated, weight(2)}, {sum}, {});
    chain.node(Op::add, {other, sum}, {kernel.output}, abi::AddParams{});
    chain.end_step({sum});
  }
  chain.place();
  norm->set(chain);
  chain.set(other, layer->other);
  double packed = 0;
  for (size_t i = 0; i < places.size(); ++i)
    packed += chain.pack(places[i], layer->weights[i % 3].view());
  packed /= chain.steps();

  kernel.work = [=](const StepSize& size) -> Work {
    const double h = hidden, i = width, rows = size.rows;
    return {packed + 4 * rows * (3 * h + 2 * i), 6 * rows * h * i};
  };
  kernel.samples = [=](const StepSize& size) {
    std::vector<std::vector<double>> rows(size.rows);  // silu(gate) up, computed once
    return samples_of(size.rows, hidden, [&](uint32_t row, uint32_t column) {
      std::vector<double>& y = rows[row];
      if (y.empty()) {
        const std::vector<float> of_norm = norm->row(row);
        for (uint32_t n = 0; n < width; ++n)
          y.push_back(n >= kPeriod ? y[n - kPeriod]
                                   : silu(product(of_norm.data(), layer->weights[0], n)) *
                                         product(of_norm.data(), layer->weights[1], n));
      }
      double sum_of_down = static_cast<double>(layer->other[uint64_t{row} * hidden + column]);
      for (uint32_t k = 0; k < width; ++k) sum_of_down += y[k] * layer->weights[2].at(k, column);
      return sum_of_down;
    });
  };
  return kernel;
}

Kernel make_embed(Machine& machine, const Sizes& sizes) {
  const uint32_t hidden = sizes.hidden;
  auto table =
      std::make_shared<StoredWeight>(random_halves_of(hidden, sizes.vocab, abi::WeightUse::embed));
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  const uint32_t at = chain.weight(table->view());
  kernel.output = chain.activation(sizes.rows, {hidden});
  for (uint32_t l = 0; l < sizes.layers; ++l) {
    chain.node(Op::embed, {at}, {kernel.output}, abi::EmbedParams{1});
    chain.end_step({});
  }
  chain.place();
  chain.pack(at, table->view());
  kernel.work = [=](const StepSize& size) -> Work { return {6.0 * size.rows * hidden, 0}; };
  kernel.samples = [=](const StepSize& size) {
    return samples_of(size.rows, hidden, [&](uint32_t row, uint32_t column) {
      return table->at(column, static_cast<uint32_t>(Chain::token_of(row)));
    });
  };
  return kernel;
}

// Few steps: the weight alone is larger than any cache.
Kernel make_lm_head(Machine& machine, const Sizes& sizes) {
  constexpr uint32_t kSteps = 4;
  const uint32_t hidden = sizes.hidden, vocab = sizes.vocab;
  auto weight =
      std::make_shared<StoredWeight>(random_halves_of(hidden, vocab, abi::WeightUse::matmul));
  auto values =
      std::make_shared<std::vector<float>>(Random(2).values(uint64_t{sizes.rows} * hidden));
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  const uint32_t x = chain.activation(sizes.rows, {hidden});
  kernel.output = chain.activation(sizes.rows, {vocab});
  std::vector<uint32_t> places;
  for (uint32_t l = 0; l < kSteps; ++l) {
    places.push_back(chain.weight(weight->view()));
    chain.node(Op::matmul, {x, places.back()}, {kernel.output}, {});
    chain.end_step({});
  }
  chain.place();
  chain.set(x, *values);
  double bytes = 0;
  for (const uint32_t place : places) bytes = chain.pack(place, weight->view());
  kernel.work = [=](const StepSize& size) -> Work {
    const double h = hidden, v = vocab, rows = size.rows;
    return {bytes + 4 * rows * (h + v), 2 * rows * h * v};
  };
  kernel.samples = [=](const StepSize& size) {
    return samples_of(size.rows, vocab, [&](uint32_t row, uint32_t column) {
      return product(values->data() + uint64_t{row} * hidden, *weight, column);
    });
  };
  return kernel;
}

Kernel make_logits(Machine& machine, const Sizes& sizes) {
  const uint32_t hidden = sizes.hidden, vocab = sizes.vocab, rows = sizes.sequences;
  auto weight =
      std::make_shared<StoredWeight>(random_halves_of(hidden, vocab, abi::WeightUse::matmul));
  auto norm = std::make_shared<Norm>(rows, hidden, false);
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  norm->add_tensors(chain, rows);
  const uint32_t selected = chain.wanted(rows, hidden), y = chain.wanted(rows, hidden);
  kernel.output = chain.wanted(rows, vocab);
  const uint32_t place = chain.weight(weight->view());
  chain.node(Op::select, {norm->at_x}, {selected}, {});
  chain.end_launch({});
  norm->add_node(chain, selected, y);
  chain.end_launch({});
  chain.node(Op::matmul, {y, place}, {kernel.output}, {});
  chain.end_step({});
  chain.ends_with(kernel.output);
  chain.place();
  norm->set(chain);
  const double bytes = chain.pack(place, weight->view());
  kernel.work = [=](const StepSize& size) -> Work {
    const double h = hidden, v = vocab, wanted = size.sequences;
    return {bytes + 4 * wanted * (h + v), 2 * wanted * h * v};
  };
  kernel.samples = [=](const StepSize& size) {
    return samples_of(size.sequences, vocab, [&](uint32_t row, uint32_t column) {
      return product(norm->row(row).data(), *weight, column);
    });
  };
  return kernel;
}

Kernel make_norm(Machine& machine, const Sizes& sizes) {
  const uint32_t hidden = sizes.hidden;
  auto norm = std::make_shared<Norm>(sizes.rows, hidden, true);
  Kernel kernel{std::make_unique<Chain>(machine), 0, {}, {}};
  Chain& chain = *kernel.chain;
  norm->add_tensors(chain, sizes.rows);
  kernel.output = chain.activation(sizes.rows, {hidden});
  for (uint32_t l = 0; l < sizes.layers; ++l) {
    norm->add_node(chain, norm->at_x, kernel.output);
    chain.end_step({});
  }
  chain.place();
  norm->set(chain);
  kernel.work = [=](const StepSize& size) -> Work {
    return {4.0 * hidden * (2 * size.rows + 2), 0};
  };
  kernel.samples = [=](const StepSize& size) {
    return samples_of(size.rows, hidden, [&](uint32_t row, uint32_t column) {
      return static_cast<double>(norm->row(row)[column]);
    });
  };
  return kernel;
}

}  // namespace ropewalk::cuda::bench
