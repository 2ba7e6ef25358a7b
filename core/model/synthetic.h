// synthetic.h — random weights with the shapes of a known model, for benchmarks without a
// checkpoint.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/checkpoint/weights/adapter_source.h"
#include "core/checkpoint/weights/weight_source.h"

namespace ropewalk {

struct SyntheticQuant {
  uint8_t bits = 4;
  uint32_t group_size = 32;
  bool act_order = true;  // a random order per layer, shared by q/k/v and by gate/up
};

// nullopt for an unknown name. Shapes: llama2-7b, llama2-13b, llama2-70b, tinyllama-1.1b,
// airophin-mini.
std::optional<ModelConfig> known_shape(std::string_view name);
std::vector<std::string_view> known_shapes();

// Without `quant` the weights are dense f16. The same seed gives the same weights. Scales are
// chosen so that activations stay of order one through all layers.
std::unique_ptr<WeightSource> make_synthetic(const ModelConfig& config,
                                             std::optional<SyntheticQuant> quant, uint64_t seed);

// An adapter of random numbers on every linear layer of a model's layers, a tenth of the weights'
// size.
std::shared_ptr<const AdapterSource> make_synthetic_adapter(const ModelConfig& config,
                                                            uint32_t rank, uint64_t seed);

}  // namespace ropewalk
