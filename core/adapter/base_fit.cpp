#include "core/adapter/base_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/adapter/low_rank.h"
#include "core/checkpoint/refuse.h"
#include "core/checkpoint/weights/finite.h"

namespace ropewalk {
namespace {

constexpr std::string_view kWrongBase =
    "The adapter was made for another base model: see "
    "base_model_name_or_path in adapter_config.json";
constexpr uint64_t kBlockBytes = 4 << 20;

// A relative change outside of this is no fine-tune of this weight.
constexpr double kMinChange = 1e-5, kMaxChange = 1;

void check_module(const Adapter& adapter, const LowRank& pair, const Checkpoint& base) {
  const auto shape = module_shape(base, pair.module);
  if (!shape)
    refuse(adapter.place_of(*pair.a),
           fmt::format("changes {}, which {} does not have: it has {} layers", pair.module,
                       base.directory().string(), base.config().layers),
           kWrongBase);
  // A table that the adapter brings itself has been compared with the base already.
  const auto own =
      std::ranges::find(adapter.replacements(), pair.module + ".weight", &Replacement::name);
  const uint64_t rows = own == adapter.replacements().end() ? shape->rows : own->tensor->shape[0];
  if (pair.rows != rows || pair.cols != shape->cols)
    refuse(adapter.place_of(*(pair.rows != rows ? pair.b : pair.a)),
           fmt::format("is for a matrix ({}, {}), but {} of {} is ({}, {})", pair.rows, pair.cols,
                       pair.module, base.directory().string(), rows, shape->cols),
           kWrongBase);
}

// Only the two tables may have other rows than the base's, and then both.
void check_replacement(const Adapter& adapter, const Replacement& replacement,
                       const Checkpoint& base) {
  const std::string& name = replacement.name;
  const bool head = name == std::string(kHeadModule) + ".weight";
  const bool table = head || name == std::string(kTableModule) + ".weight";
  const TensorInfo* there = base.find(name);
  if (!there && head && base.config().tied_embeddings)
    there = &base.get(std::string(kTableModule) + ".weight");
  if (!there)
    refuse(adapter.place_of(*replacement.tensor),
           fmt::format("replaces {}, which {} does not have", name, base.directory().string()),
           kWrongBase);
  const auto& ours = replacement.tensor->shape;
  const bool same_rank = ours.size() == there->shape.size() && !ours.empty();
  const bool fits = same_rank &&
                    std::equal(ours.begin() + 1, ours.end(), there->shape.begin() + 1) &&
                    (table || ours[0] == there->shape[0]);
  if (!fits)
    refuse(adapter.place_of(*replacement.tensor),
           fmt::format("has another shape than {} of {}", name, base.directory().string()),
           kWrongBase);
}

uint64_t rows_after(const Adapter& adapter, const Checkpoint& base, std::string_view module) {
  const auto found = std::ranges::find(adapter.replacements(), std::string(module) + ".weight",
                                       &Replacement::name);
  if (found != adapter.replacements().end()) return found->tensor->shape[0];
  const auto shape = module_shape(base, module);
  return shape ? shape->rows : 0;
}

void check_vocabulary(const Adapter& adapter, const Checkpoint& base) {
  const uint64_t table = rows_after(adapter, base, kTableModule);
  const uint64_t head = rows_after(adapter, base, kHeadModule);
  if (table != head)
    refuse(adapter.directory().string(),
           fmt::format("would leave {} tokens in {} and {} in {}, expected as many in both", table,
                       kTableModule, head, kHeadModule),
           "Save the adapter again with save_embedding_layers=True, which keeps both tables");
  for (const TokenRows& rows : adapter.token_rows()) {
    const auto shape = module_shape(base, rows.module);
    const auto too_large = [&](uint32_t id) { return !shape || id >= shape->rows; };
    if (!shape || shape->cols != rows.tensor->shape[1] || std::ranges::any_of(rows.ids, too_large))
      refuse(adapter.place_of(*rows.tensor),
             fmt::format("does not fit {} of {}", rows.module, base.directory().string()),
             kWrongBase);
  }
}

void check_effect(const Adapter& adapter) {
  if (!adapter.replacements().empty() || !adapter.token_rows().empty()) return;
  for (const LowRank& pair : adapter.low_ranks()) {
    if (pair.magnitude || pair.bias) return;
    const std::vector<float> b = adapter.read(*pair.b, 0, pair.b->shape[0]);
    if (std::ranges::any_of(b, [](float value) { return value != 0; })) return;
  }
  refuse(adapter.directory().string(), "changes nothing: every lora_B is zero",
         "It was saved before it was trained");
}

double weight_norm(const Checkpoint& base, const std::string& name) {
  const TensorInfo& tensor = base.get(name);
  double sum = 0;
  std::vector<std::byte> block;
  for (uint64_t at = 0; at < tensor.bytes; at += block.size()) {
    block.resize(std::min(kBlockBytes, tensor.bytes - at));
    base.read_from(tensor, at, block);
    for (const float value : to_floats(tensor.type, block))
      sum += static_cast<double>(value) * static_cast<double>(value);
  }
  return std::sqrt(sum);
}

std::string last_part(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  return path.substr(path.rfind('/') + 1);
}

bool is_layer_linear(const TensorInfo& tensor) {
  return tensor.name.starts_with("model.layers.") &&
         (tensor.name.ends_with(".qweight") ||
          (tensor.name.ends_with(".weight") && tensor.shape.size() == 2));
}

}  // namespace

std::optional<ModuleShape> module_shape(const Checkpoint& base, std::string_view module) {
  const std::string name(module);
  const TensorInfo* dense = base.find(name + ".weight");
  if (module == kHeadModule && base.config().tied_embeddings)
    dense = base.find(std::string(kTableModule) + ".weight");
  if (dense && dense->shape.size() == 2)
    return ModuleShape{dense->shape[0], dense->shape[1], false};
  const TensorInfo* packed = base.find(name + ".qweight");
  if (!packed || packed->shape.size() != 2 || !base.quantization()) return std::nullopt;
  return ModuleShape{packed->shape[1], packed->shape[0] * 32 / base.quantization()->bits, true};
}

void check_fit(const Adapter& adapter, const Checkpoint& base) {
  for (const Replacement& replacement : adapter.replacements())
    check_replacement(adapter, replacement, base);
  for (const LowRank& pair : adapter.low_ranks()) check_module(adapter, pair, base);
  check_vocabulary(adapter, base);
  check_effect(adapter);
  if (adapter.config().ties_tables && base.config().tied_embeddings &&
      !adapter.replacements().empty())
    refuse(fmt::format("{}: ensure_weight_tying", adapter.config().file),
           fmt::format("found true, and {} ties its tables: what belongs to both is not known",
                       base.directory().string()),
           "Merge it with PEFT itself");
}

Coverage coverage_of(const Adapter& adapter, const Checkpoint& base) {
  Coverage coverage;
  for (const LowRank& pair : adapter.low_ranks())
    coverage.adapted += pair.module.starts_with("model.layers.") ? 1 : 0;
  coverage.linears = static_cast<size_t>(std::ranges::count_if(base.tensors(), is_layer_linear));
  return coverage;
}

std::vector<Effect> effects_of(const Adapter& adapter, const Checkpoint* base) {
  std::vector<Effect> effects;
  for (const LowRank& pair : adapter.low_ranks()) {
    const Factors factors = load_factors(adapter, pair, 0, pair.rows);
    Effect effect{&pair, std::abs(pair.scale) * product_norm(factors), std::nullopt};
    const auto shape = base ? module_shape(*base, pair.module) : std::nullopt;
    if (shape && !shape->packed) {
      const bool tied = pair.module == kHeadModule && base->config().tied_embeddings;
      effect.weight =
          weight_norm(*base, (tied ? std::string(kTableModule) : pair.module) + ".weight");
    }
    effects.push_back(effect);
  }
  return effects;
}

std::vector<std::string> doubts_of(const Adapter& adapter, const Checkpoint* base,
                                   const std::vector<Effect>& effects) {
  std::vector<std::string> doubts;
  const AdapterConfig& config = adapter.config();
  for (const std::string& field : config.ignored)
    doubts.push_back(
        fmt::format("{}: {} is not known and was ignored", config.file, printable(field)));
  if (!base) return doubts;
  const std::string wanted = last_part(config.base_name),
                    found = last_part(base->directory().string());
  if (!wanted.empty() && wanted != found)
    doubts.push_back(
        fmt::format("{}: the adapter was made for \"{}\", the base is \"{}\"; shapes agree, but "
                    "only a text tells "
                    "whether the weights do",
                    config.file, printable(config.base_name), printable(found)));
  for (const Effect& effect : effects) {
    if (!effect.weight || *effect.weight == 0) continue;
    const double relative = effect.change / *effect.weight;
    if (relative == 0 || (relative >= kMinChange && relative <= kMaxChange)) continue;
    doubts.push_back(fmt::format(
        "{}: {} changes by {:.2g} of its norm, expected {} to {}; lora_alpha or the base may be "
        "wrong",
        adapter.directory().string(), effect.pair->module, relative, kMinChange, kMaxChange));
  }
  return doubts;
}

}  // namespace ropewalk
