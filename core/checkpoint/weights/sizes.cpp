#include "core/checkpoint/weights/sizes.h"

#include <fmt/format.h>

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

}  // namespace

void check_sizes(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const auto check = [&](std::string_view field, uint64_t said, uint64_t expected,
                         const std::optional<Shown>& shown) {
    if (!shown || shown->size == expected) return;
    refuse(fmt::format("{}: {}", (checkpoint.directory() / "config.json").string(), field),
           fmt::format("found {}, but {} has the shape [{}], expected {} in place of {}", said,
                       shown->tensor->name, fmt::join(shown->tensor->shape, ", "), expected,
                       shown->size),
           "Take config.json and the weights of one model");
  };
  const std::string layer = "model.layers.0.";
  check("hidden_size", config.hidden_size, config.hidden_size,
        side(checkpoint, "model.embed_tokens.weight", 1));
  check("intermediate_size", config.intermediate_size, config.intermediate_size,
        outputs(checkpoint, layer + "mlp.gate_proj"));
  check("num_key_value_heads", config.kv_heads, uint64_t{config.kv_heads} * config.head_dim,
        outputs(checkpoint, layer + "self_attn.k_proj"));
}

}  // namespace ropewalk
