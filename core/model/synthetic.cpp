#include "core/model/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace ropewalk {
namespace {

struct Shape {
  std::string_view name;
  uint32_t vocab, hidden, intermediate, layers, heads, kv_heads, max_position;
};

// From the models' published config.json files; llama2-13b with the 8192 positions of the
// reference workload.
constexpr Shape kShapes[] = {
    {"llama2-7b", 32000, 4096, 11008, 32, 32, 32, 4096},
    {"llama2-13b", 32000, 5120, 13824, 40, 40, 40, 8192},
    {"llama2-70b", 32000, 8192, 28672, 80, 64, 8, 4096},
    {"tinyllama-1.1b", 32000, 2048, 5632, 22, 32, 4, 2048},
    {"airophin-mini", 1024, 192, 512, 5, 3, 3, 512},
};

// SplitMix64 (Steele, Lea, Flood 2014): fast, and the same on every platform.
class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

uint64_t hash_name(std::string_view text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// Positive normal numbers only, which is all that is needed here.
uint16_t f16_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(((bits >> 13) & 0x3ff) | ((((bits >> 23) & 0xff) - 112) << 10));
}

class SyntheticWeight final : public HostWeight {
 public:
  const abi::Weight& view() const override { return view_; }
  const std::vector<float>& bias() const override { return bias_; }

  abi::Weight view_;
  std::vector<float> bias_;
  std::vector<uint32_t> qweight_, qzeros_, row_order_, column_order_;
  std::vector<uint16_t> halves_;  // scales or dense values
};

class Synthetic final : public WeightSource {
 public:
  Synthetic(const ModelConfig& config, std::optional<SyntheticQuant> quant, uint64_t seed)
      : config_(config), quant_(quant), seed_(seed) {}

  const ModelConfig& config() const override { return config_; }

  LinearInfo linear(std::string_view prefix, uint32_t rows, uint32_t cols) const override {
    LinearInfo info;
    info.prefix = prefix;
    info.rows = rows;
    info.cols = cols;
    if (!quant_ || prefix == "lm_head") return info;
    info.quantized = true;
    info.bits = quant_->bits;
    info.group_size = std::min(quant_->group_size, rows);
    if (quant_->act_order) info.row_order = shuffled(order_key(prefix), rows);
    return info;
  }

  std::unique_ptr<HostWeight> load_linear(const LinearInfo& info,
                                          std::vector<uint32_t> column_order) const override {
    auto weight = std::make_unique<SyntheticWeight>();
    weight->row_order_ = info.row_order;
    weight->column_order_ = std::move(column_order);
    abi::Weight& view = weight->view_;
    view.rows = info.rows;
    view.cols = info.cols;
    if (info.quantized) {
      fill_codes(info, *weight);
    } else {
      fill_dense(info.prefix, *weight);
    }
    view.row_order = weight->row_order_;
    view.column_order = weight->column_order_;
    return weight;
  }

  abi::DType table_type(std::string_view) const override { return abi::DType::f16; }

  std::unique_ptr<HostWeight> load_table(std::string_view name, uint32_t vocab,
                                         uint32_t hidden) const override {
    auto weight = std::make_unique<SyntheticWeight>();
    weight->view_.use = abi::WeightUse::embed;
    weight->view_.rows = hidden;
    weight->view_.cols = vocab;
    fill_dense(name, *weight);
    return weight;
  }

  std::vector<float> load_vector(std::string_view, uint32_t size) const override {
    return std::vector<float>(size, 1.0f);
  }

 private:
  // q/k/v share their input and so their order, and so do gate/up.
  static std::string order_key(std::string_view prefix) {
    std::string key(prefix);
    for (const char* name : {"k_proj", "v_proj"}) {
      if (key.ends_with(name)) key.replace(key.size() - 6, 6, "q_proj");
    }
    if (key.ends_with("up_proj")) key.replace(key.size() - 7, 7, "gate_proj");
    return key;
  }

  std::vector<uint32_t> shuffled(std::string_view key, uint32_t size) const {
    std::vector<uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    SplitMix random(hash_name(key, seed_));
    for (uint32_t i = size; i > 1; --i) std::swap(order[i - 1], order[random.next() % i]);
    return order;
  }

  // Uniform codes have variance (4^bits - 1) / 12; the scale makes a row's sum of order one.
  void fill_codes(const LinearInfo& info, SyntheticWeight& weight) const {
    abi::Weight& view = weight.view_;
    view.dtype = abi::DType::gptq;
    view.bits = info.bits;
    view.zero_offset = 1;
    view.group_size = info.group_size;
    SplitMix random(hash_name(info.prefix, seed_));
    weight.qweight_.resize(uint64_t{info.rows} * info.bits / 32 * info.cols);
    for (uint32_t& word : weight.qweight_) word = static_cast<uint32_t>(random.next());
    const uint64_t levels = uint64_t{1} << info.bits;
    const uint32_t zero = static_cast<uint32_t>(levels / 2 - 1);  // symmetric, v1
    weight.qzeros_.assign(uint64_t{view.groups()} * info.cols * info.bits / 32, 0);
    for (uint64_t bit = 0; bit < weight.qzeros_.size() * 32; bit += info.bits) {
      const uint64_t code = uint64_t{zero} << (bit % 32);
      weight.qzeros_[bit / 32] |= static_cast<uint32_t>(code);
      if (code >> 32) weight.qzeros_[bit / 32 + 1] |= static_cast<uint32_t>(code >> 32);
    }
    const double deviation = std::sqrt(static_cast<double>(levels * levels - 1) / 12);
    const float scale = static_cast<float>(1 / (deviation * std::sqrt(info.rows)));
    weight.halves_.resize(uint64_t{view.groups()} * info.cols);
    for (uint16_t& half : weight.halves_) {
      half = f16_bits(scale * (0.75f + static_cast<float>(random.next() >> 40) * 0x1p-25f));
    }
    view.qweight = weight.qweight_;
    view.qzeros = weight.qzeros_;
    view.scales = std::as_bytes(std::span(weight.halves_));
  }

  void fill_dense(std::string_view name, SyntheticWeight& weight) const {
    abi::Weight& view = weight.view_;
    view.dtype = abi::DType::f16;
    SplitMix random(hash_name(name, seed_));
    const bool table = view.use == abi::WeightUse::embed;
    const float deviation = table ? 1.0f : 1.0f / std::sqrt(static_cast<float>(view.rows));
    weight.halves_.resize(uint64_t{view.rows} * view.cols);
    for (uint16_t& half : weight.halves_) {
      const uint64_t bits = random.next();
      // Uniform in +-[0.25, 1.75] deviations keeps every value a normal f16.
      const float magnitude = deviation * (0.25f + static_cast<float>(bits >> 40) * 0x1.8p-24f);
      half = static_cast<uint16_t>(f16_bits(magnitude) | ((bits & 1) << 15));
    }
    view.dense = std::as_bytes(std::span(weight.halves_));
  }

  ModelConfig config_;
  std::optional<SyntheticQuant> quant_;
  uint64_t seed_;
};

}  // namespace

std::optional<ModelConfig> known_shape(std::string_view name) {
  const auto* shape = std::find_if(std::begin(kShapes), std::end(kShapes),
                                   [&](const Shape& s) { return s.name == name; });
  if (shape == std::end(kShapes)) return std::nullopt;
  ModelConfig config;
  config.vocab_size = shape->vocab;
  config.hidden_size = shape->hidden;
  config.intermediate_size = shape->intermediate;
  config.layers = shape->layers;
  config.heads = shape->heads;
  config.kv_heads = shape->kv_heads;
  config.head_dim = shape->hidden / shape->heads;
  config.max_position = shape->max_position;
  config.rms_norm_eps = 1e-5;
  return config;
}

std::vector<std::string_view> known_shapes() {
  std::vector<std::string_view> names;
  for (const Shape& shape : kShapes) names.push_back(shape.name);
  return names;
}

std::unique_ptr<WeightSource> make_synthetic(const ModelConfig& config,
                                             std::optional<SyntheticQuant> quant, uint64_t seed) {
  return std::make_unique<Synthetic>(config, quant, seed);
}

}  // namespace ropewalk
