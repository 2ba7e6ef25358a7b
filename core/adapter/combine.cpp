#include "core/adapter/combine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/adapter/adapter_keys.h"
#include "core/checkpoint/formats/safetensors_writer.h"
#include "core/checkpoint/refuse.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint32_t kMaxCombinedRank = 512;

struct Part {
  const Adapter* adapter;
  const LowRank* pair;
  float scale;  // its own and the one given
};

// What the combined adapter has for one module.
struct Stack {
  std::vector<Part> parts;
  uint32_t rank = 0;
  bool bias = false;

  const LowRank& like() const { return *parts.front().pair; }
};

using Stacks = std::map<std::string, Stack>;

void add_part(Stacks& stacks, const Part& part) {
  Stack& stack = stacks[part.pair->module];
  if (!stack.parts.empty()) {
    const LowRank& like = stack.like();
    if (like.rows != part.pair->rows || like.cols != part.pair->cols ||
        like.table != part.pair->table)
      refuse(part.adapter->place_of(*part.pair->a),
             fmt::format("is for a matrix ({}, {}), in {} for ({}, {})", part.pair->rows,
                         part.pair->cols, stack.parts.front().adapter->directory().string(),
                         like.rows, like.cols),
             "Combine adapters of one base model");
  }
  stack.parts.push_back(part);
  stack.rank += part.pair->rank;
  stack.bias = stack.bias || part.pair->bias;
  if (stack.rank > kMaxCombinedRank)
    throw Error(
        ExitCode::limit, part.pair->module,
        fmt::format("the ranks add up to {}, expected at most {}", stack.rank, kMaxCombinedRank),
        "Combine fewer adapters, or merge them into the base");
}

// Rows below rows.
std::vector<float> stacked_rows(const Stack& stack, const TensorInfo* LowRank::*which) {
  std::vector<float> out;
  for (const Part& part : stack.parts) {
    const TensorInfo& tensor = *(part.pair->*which);
    const std::vector<float> rows = part.adapter->read(tensor, 0, tensor.shape[0]);
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

// Columns beside columns, each part scaled.
std::vector<float> stacked_columns(const Stack& stack) {
  const uint64_t rows = stack.like().b->shape[0];
  std::vector<float> out(rows * stack.rank);
  uint64_t column = 0;
  for (const Part& part : stack.parts) {
    const std::vector<float> b = part.adapter->read(*part.pair->b, 0, rows);
    const uint32_t rank = part.pair->rank;
    for (uint64_t row = 0; row < rows; ++row)
      for (uint32_t i = 0; i < rank; ++i)
        out[row * stack.rank + column + i] = part.scale * b[row * rank + i];
    column += rank;
  }
  return out;
}

std::vector<float> summed_bias(const Stack& stack) {
  std::vector<float> out(stack.like().rows);
  for (const Part& part : stack.parts) {
    if (!part.pair->bias) continue;
    const std::vector<float> bias = part.adapter->read(*part.pair->bias, 0, out.size());
    for (size_t i = 0; i < out.size(); ++i) out[i] += part.scale * bias[i];
  }
  return out;
}

TensorInfo f32_tensor(std::string name, std::vector<uint64_t> shape) {
  TensorInfo tensor{std::move(name), StoredType::f32, std::move(shape), sizeof(float), {}};
  for (const uint64_t size : tensor.shape) tensor.bytes *= size;
  return tensor;
}

class Combination {
 public:
  explicit Combination(const std::vector<ScaledAdapter>& adapters) : adapters_(adapters) {
    check_choice(adapters);
    for (const ScaledAdapter& scaled : adapters) {
      for (const LowRank& pair : scaled.adapter->low_ranks())
        add_part(stacks_, {scaled.adapter, &pair, static_cast<float>(pair.scale * scaled.scale)});
      for (const Replacement& replacement : scaled.adapter->replacements())
        add_whole(*scaled.adapter, replacement);
      if (!scaled.adapter->token_rows().empty())
        throw Error(
            ExitCode::usage, scaled.adapter->directory().string(),
            "brings single rows of a table (trainable_token_indices), which cannot be combined",
            "Merge it into the base");
    }
    for (const auto& [module, stack] : stacks_) bias_ = bias_ || stack.bias;
    plan();
  }

  void write(OutputFolder& folder) {
    const SafetensorsWriter writer(folder, {"adapter_model", tensors_, UINT64_MAX});
    size_t index = 0;
    const auto put = [&](const std::vector<float>& values) {
      writer.write(index++, 0, std::as_bytes(std::span(values)));
    };
    for (const auto& [module, stack] : stacks_) {
      const bool table = stack.like().table;
      put(stacked_rows(stack, &LowRank::a));
      put(stacked_columns(stack));
      if (bias_ && !table) put(summed_bias(stack));
    }
    for (const auto& [name, owner] : wholes_)
      put(owner.adapter->read(*owner.tensor, 0, owner.tensor->shape[0]));
    folder.add_text(std::string(kAdapterConfigName), config().dump(2) + "\n");
  }

 private:
  struct Whole {
    const Adapter* adapter;
    const TensorInfo* tensor;
  };

  void add_whole(const Adapter& adapter, const Replacement& replacement) {
    const auto [at, added] = wholes_.emplace(replacement.name, Whole{&adapter, replacement.tensor});
    if (!added)
      throw Error(ExitCode::usage, adapter.directory().string(),
                  fmt::format("brings {} whole, and so does {}", replacement.name,
                              at->second.adapter->directory().string()),
                  "Leave one of the adapters out");
  }

  void plan() {
    for (const auto& [module, stack] : stacks_) {
      const LowRank& like = stack.like();
      const auto key = [&module = module](AdapterRole role) { return adapter_key(role, module); };
      tensors_.push_back(f32_tensor(key(like.table ? AdapterRole::table_a : AdapterRole::a),
                                    {stack.rank, like.a->shape[1]}));
      tensors_.push_back(f32_tensor(key(like.table ? AdapterRole::table_b : AdapterRole::b),
                                    {like.b->shape[0], stack.rank}));
      if (bias_ && !like.table)
        tensors_.push_back(f32_tensor(key(AdapterRole::b_bias), {like.rows}));
    }
    for (const auto& [name, whole] : wholes_)
      tensors_.push_back(f32_tensor(whole_key(name), whole.tensor->shape));
  }

  // PEFT looks below `base_layer` where the module has low-rank matrices too.
  std::string whole_key(const std::string& name) const {
    const size_t dot = name.rfind('.');
    const std::string module = name.substr(0, dot);
    return adapter_key(AdapterRole::replacement,
                       stacks_.contains(module) ? module + ".base_layer" + name.substr(dot) : name);
  }

  Json config() const {
    uint32_t rank = 0;
    Json targets = Json::array(), ranks = Json::object();
    for (const auto& [module, stack] : stacks_) {
      rank = std::max(rank, stack.rank);
      targets.push_back(module);
    }
    for (const auto& [module, stack] : stacks_)
      if (stack.rank != rank) ranks[module] = stack.rank;
    std::set<std::string> saved;
    for (const ScaledAdapter& scaled : adapters_)
      saved.insert(scaled.adapter->config().modules_to_save.begin(),
                   scaled.adapter->config().modules_to_save.end());
    rank = std::max(rank, 1u);
    return {{"peft_type", "LORA"},
            {"task_type", "CAUSAL_LM"},
            {"base_model_name_or_path", adapters_.front().adapter->config().base_name},
            {"inference_mode", true},
            {"r", rank},
            {"lora_alpha", rank},
            {"rank_pattern", ranks},
            {"alpha_pattern", ranks},
            {"use_rslora", false},
            {"use_dora", false},
            {"bias", "none"},
            {"lora_bias", bias_},
            {"lora_dropout", 0.0},
            {"fan_in_fan_out", false},
            {"init_lora_weights", true},
            {"target_modules", targets},
            {"modules_to_save", saved.empty() ? Json(nullptr) : Json(saved)}};
  }

  const std::vector<ScaledAdapter>& adapters_;
  Stacks stacks_;
  std::map<std::string, Whole> wholes_;
  bool bias_ = false;
  std::vector<TensorInfo> tensors_;
};

}  // namespace

void combine_adapters(const std::vector<ScaledAdapter>& adapters, OutputFolder& folder) {
  Combination(adapters).write(folder);
}

}  // namespace ropewalk
