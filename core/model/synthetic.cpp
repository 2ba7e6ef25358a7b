#include "core/model/synthetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/checkpoint/weights/weight_room.h"

namespace ropewalk {
namespace {

struct Shape {
  std::string_view name, model_type;
  uint32_t vocab, hidden, intermediate, layers, heads, kv_heads, max_position;
};

// From the models' published config.json files; llama2-13b with the 8192 positions of the
// reference workload.
constexpr Shape kShapes[] = {
    {"llama2-7b", "llama", 32000, 4096, 11008, 32, 32, 32, 4096},
    {"llama2-13b", "llama", 32000, 5120, 13824, 40, 40, 40, 8192},
    {"llama2-70b", "llama", 32000, 8192, 28672, 80, 64, 8, 4096},
    {"tinyllama-1.1b", "llama", 32000, 2048, 5632, 22, 32, 4, 2048},
    {"airophin-mini", "llama", 1024, 192, 512, 5, 3, 3, 512},
};

// SplitMix64 (Steele, Lea, Flood 2014): fast, and the same on every platform.
class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint64_t next() { return mix(state_ += kStep); }
  // The result of call number `index` (from 0) of next().
  uint64_t at(uint64_t index) const { return mix(state_ + (index + 1) * kStep); }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15u;
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

uint64_t hash_name(std::string_view text, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// REQUIRES: a positive number that is normal as f16.
uint16_t f16_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>(((bits >> 13) & 0x3ff) | ((((bits >> 23) & 0xff) - 112) << 10));
}

class Synthetic final : public WeightSource {
 public:
  Synthetic(const ModelConfig& config, std::optional<SyntheticQuant> quant, uint64_t seed)
      : config_(config), quant_(quant), seed_(seed) {}

  const ModelConfig& config() const override { return config_; }

  WeightInfo describe(std::string_view name, abi::WeightUse use, uint32_t rows,
                      uint32_t cols) const override {
    WeightInfo info{.name = std::string(name), .shape = {.use = use, .rows = rows, .cols = cols}};
    if (!quant_ || name == "lm_head" || name == "model.embed_tokens") return info;
    info.shape.dtype = abi::DType::gptq;
    info.shape.bits = quant_->bits;
    info.shape.zero_offset = 1;
    info.shape.group_size = std::min(quant_->group_size, rows);
    if (quant_->act_order) info.row_order = shuffled(order_key(name), rows);
    return info;
  }

  abi::Weight load(const WeightInfo& info, const Columns& columns,
                   std::span<std::byte> room) const override {
    abi::Weight weight = info.shape;
    weight.row_order = info.row_order;
    const Columns read = set_columns(weight, columns);
    const WeightRoom to = lay_out(weight, room);
    if (weight.dtype == abi::DType::gptq)
      fill_codes(info.name, read, weight, to);
    else
      fill_dense(info.name, read, weight, to.dense);
    return weight;
  }

  std::vector<float> load_bias(const WeightInfo&, std::span<const uint32_t>) const override {
    return {};
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
  void fill_codes(std::string_view name, const Columns& columns, const abi::Weight& weight,
                  const WeightRoom& to) const {
    const SplitMix random(hash_name(name, seed_));
    const uint64_t word_rows = uint64_t{weight.rows} * weight.bits / 32;
    for (uint64_t r = 0; r < word_rows; ++r)
      for (uint32_t n = 0; n < weight.cols; ++n)
        to.qweight[r * weight.cols + n] =
            static_cast<uint32_t>(random.at(r * weight.of_cols + columns.stored(n)));
    fill_zeros(weight, to.qzeros);
    const uint64_t levels = uint64_t{1} << weight.bits;
    const double deviation = std::sqrt(static_cast<double>(levels * levels - 1) / 12);
    const float scale = static_cast<float>(1 / (deviation * std::sqrt(weight.rows)));
    auto* out = reinterpret_cast<uint16_t*>(to.scales.data());
    for (uint64_t g = 0; g < weight.groups(); ++g)
      for (uint32_t n = 0; n < weight.cols; ++n) {
        const uint64_t bits = random.at((word_rows + g) * weight.of_cols + columns.stored(n));
        *out++ = f16_bits(scale * (0.75f + static_cast<float>(bits >> 40) * 0x1p-25f));
      }
  }

  // Symmetric, v1.
  static void fill_zeros(const abi::Weight& weight, std::span<uint32_t> to) {
    const uint64_t zero = (uint64_t{1} << (weight.bits - 1)) - 1;
    std::fill(to.begin(), to.end(), 0u);
    for (uint64_t bit = 0; bit < to.size() * 32; bit += weight.bits) {
      const uint64_t code = zero << (bit % 32);
      to[bit / 32] |= static_cast<uint32_t>(code);
      if (code >> 32) to[bit / 32 + 1] |= static_cast<uint32_t>(code >> 32);
    }
  }

  void fill_dense(std::string_view name, const Columns& columns, const abi::Weight& weight,
                  std::span<std::byte> to) const {
    const SplitMix random(hash_name(name, seed_));
    const bool table = weight.use == abi::WeightUse::embed;
    const float deviation = table ? 1.0f : 1.0f / std::sqrt(static_cast<float>(weight.rows));
    auto* out = reinterpret_cast<uint16_t*>(to.data());
    for (uint32_t n = 0; n < weight.cols; ++n)
      for (uint32_t k = 0; k < weight.rows; ++k) {
        const uint64_t bits = random.at(uint64_t{columns.stored(n)} * weight.rows + k);
        // Uniform in +-[0.25, 1.75] deviations keeps every value a normal f16.
        const float magnitude = deviation * (0.25f + static_cast<float>(bits >> 40) * 0x1.8p-24f);
        *out++ = static_cast<uint16_t>(f16_bits(magnitude) | ((bits & 1) << 15));
      }
  }

  ModelConfig config_;
  std::optional<SyntheticQuant> quant_;
  uint64_t seed_;
};

class SyntheticAdapter final : public AdapterSource {
 public:
  SyntheticAdapter(const ModelConfig& config, uint32_t rank, uint64_t seed)
      : config_(config), rank_(rank), seed_(seed) {}

  std::vector<std::string> modules() const override {
    std::vector<std::string> names;
    for (uint32_t layer = 0; layer < config_.layers; ++layer)
      for (const char* part : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                               "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"})
        names.push_back("model.layers." + std::to_string(layer) + "." + part);
    return names;
  }

  uint32_t max_rank() const override { return rank_; }
  std::vector<std::string> modules_with_vectors() const override { return {}; }

  std::optional<LowRankMatrices> read(std::string_view module) const override {
    const auto is = [&](std::string_view part) { return module.ends_with(part); };
    const uint32_t q = config_.heads * config_.head_dim, kv = config_.kv_heads * config_.head_dim;
    LowRankMatrices matrices{.rank = rank_, .rows = config_.hidden_size, .cols = q};
    if (is("k_proj") || is("v_proj")) matrices.cols = kv;
    if (is("gate_proj") || is("up_proj")) matrices.cols = config_.intermediate_size;
    if (is("o_proj") || is("down_proj")) {
      matrices.rows = is("o_proj") ? q : config_.intermediate_size;
      matrices.cols = config_.hidden_size;
    }
    SplitMix random(hash_name(module, seed_));
    const auto fill = [&](uint64_t count, uint32_t terms, float size, std::vector<float>& values) {
      values.resize(count);
      const float scale = size / std::sqrt(static_cast<float>(terms));
      for (float& value : values)
        value = scale * (static_cast<float>(random.next() >> 40) * 0x1p-23f - 1.0f);
    };
    fill(uint64_t{rank_} * matrices.rows, matrices.rows, 1.0f, matrices.a);
    fill(uint64_t{matrices.cols} * rank_, rank_, 0.1f, matrices.b);
    return matrices;
  }

 private:
  const ModelConfig config_;
  const uint32_t rank_;
  const uint64_t seed_;
};

}  // namespace

std::shared_ptr<const AdapterSource> make_synthetic_adapter(const ModelConfig& config,
                                                            uint32_t rank, uint64_t seed) {
  return std::make_shared<SyntheticAdapter>(config, rank, seed);
}

std::optional<ModelConfig> known_shape(std::string_view name) {
  const auto* shape = std::find_if(std::begin(kShapes), std::end(kShapes),
                                   [&](const Shape& s) { return s.name == name; });
  if (shape == std::end(kShapes)) return std::nullopt;
  ModelConfig config;
  config.model_type = shape->model_type;
  config.vocab_size = shape->vocab;
  config.hidden_size = shape->hidden;
  config.intermediate_size = shape->intermediate;
  config.layers = shape->layers;
  config.heads = shape->heads;
  config.kv_heads = shape->kv_heads;
  config.head_dim = shape->hidden / shape->heads;
  config.max_position = config.trained_length = shape->max_position;
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
