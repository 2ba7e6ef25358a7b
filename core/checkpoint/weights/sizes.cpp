#include "core/checkpoint/weights/sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

// One side of a matrix of the checkpoint.
struct Shown {
  const TensorInfo* tensor;
  uint64_t size;
};

std::optional<Shown> side(const Checkpoint& checkpoint, const std::string& name, size_t axis) {
  const TensorInfo* tensor = checkpoint.find(name);
  if (!tensor || tensor->shape.size() != 2) return std::nullopt;
  return Shown{tensor, tensor->shape[axis]};
}

// Output features of a linear layer: nn.Linear.weight is (outputs, inputs), GPTQ's scales are
// (groups, outputs).
std::optional<Shown> outputs(const Checkpoint& checkpoint, const std::string& layer) {
  if (const auto scales = side(checkpoint, layer + ".scales", 1)) return scales;
  return side(checkpoint, layer + ".weight", 0);
}

constexpr char kEmbeddings[] = "model.embed_tokens.weight";
constexpr std::string_view kOneModel = "Take config.json and the weights of one model";

std::string place_in_config(const Checkpoint& checkpoint, std::string_view field) {
  return fmt::format("{}: {}", (checkpoint.directory() / "config.json").string(), field);
}

// One more than the largest layer that a tensor is of.
uint64_t stored_layers(const Checkpoint& checkpoint) {
  constexpr std::string_view kLayers = "model.layers.";
  uint64_t layers = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!tensor.name.starts_with(kLayers)) continue;
    const char* const end = tensor.name.data() + tensor.name.size();
    uint32_t layer = 0;
    const auto [stop, error] = std::from_chars(tensor.name.data() + kLayers.size(), end, layer);
    if (error == std::errc{}) layers = std::max(layers, uint64_t{layer} + 1);
  }
  return layers;
}

// More layers in the tensors than in config.json are warned of where they are left unread. A part
// of a model, as `quantize` reads back what it has written, has no table of embeddings.
void check_layers(const Checkpoint& checkpoint) {
  if (!checkpoint.find(kEmbeddings)) return;
  const uint64_t stored = stored_layers(checkpoint), said = checkpoint.config().layers;
  if (stored >= said) return;
  refuse(place_in_config(checkpoint, "num_hidden_layers"),
         fmt::format("found {}, but the tensors have {}", said, stored), kOneModel);
}

}  // namespace

void check_sizes(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const auto check = [&](std::string_view field, uint64_t said, uint64_t expected,
                         const std::optional<Shown>& shown) {
    if (!shown || shown->size == expected) return;
    refuse(place_in_config(checkpoint, field),
           fmt::format("found {}, but {} has the shape [{}], expected {} in place of {}", said,
                       shown->tensor->name, fmt::join(shown->tensor->shape, ", "), expected,
                       shown->size),
           kOneModel);
  };
  check("vocab_size", config.vocab_size, config.vocab_size, side(checkpoint, kEmbeddings, 0));
  const std::string layer = "model.layers.0.";
  check("hidden_size", config.hidden_size, config.hidden_size, side(checkpoint, kEmbeddings, 1));
  check("intermediate_size", config.intermediate_size, config.intermediate_size,
        outputs(checkpoint, layer + "mlp.gate_proj"));
  check("num_key_value_heads", config.kv_heads, uint64_t{config.kv_heads} * config.head_dim,
        outputs(checkpoint, layer + "self_attn.k_proj"));
  check_layers(checkpoint);
}

}  // namespace ropewalk
