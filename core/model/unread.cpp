#include "core/model/unread.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>

#include "core/base/log.h"

namespace ropewalk {
namespace {

constexpr size_t kShownNames = 3;

std::set<std::string> read_names(const ModelGraph& model) {
  std::set<std::string> names;
  for (const VectorLoad& load : model.vectors) names.insert(load.name);
  for (const WeightLoad& load : model.weights) {
    const bool packed = load.info.shape.dtype == abi::DType::gptq;
    const std::vector<const char*> parts =
        packed ? std::vector{".qweight", ".qzeros", ".scales", ".g_idx", ".bias"}
               : std::vector{".weight", ".bias"};
    for (const char* part : parts) names.insert(load.info.stored.name + part);
  }
  return names;
}

using Names = std::vector<const TensorInfo*>;

size_t count_of(const Names& unread, std::initializer_list<std::string_view> parts) {
  return static_cast<size_t>(std::count_if(unread.begin(), unread.end(), [&](const auto* tensor) {
    return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
      return tensor->name.find(part) != std::string::npos;
    });
  }));
}

// Those that this family does not have. Layers beyond the last may have the family's own.
size_t count_of_norms(const Names& unread, const ModelConfig& config) {
  size_t count = count_of(unread, {".post_self_attn_layernorm."});
  if (config.query_norms == QueryNorms::none) count += count_of(unread, {".q_norm.", ".k_norm."});
  if (config.norms == Norms::after) count += count_of(unread, {".input_layernorm."});
  if (config.norms == Norms::before) count += count_of(unread, {".post_feedforward_layernorm."});
  if (config.norms != Norms::before_and_after)
    count += count_of(unread, {".pre_feedforward_layernorm."});
  return count;
}

std::string what_they_are(const Names& unread, const ModelConfig& config) {
  const size_t lora = count_of(unread, {".lora_", "lora_magnitude_vector"});
  const size_t pictures = count_of(unread, {"vision_tower.", "multi_modal_projector."});
  const size_t head = config.tied_embeddings ? count_of(unread, {"lm_head."}) : 0;
  const size_t norms = count_of_norms(unread, config);
  const std::string beyond = fmt::format("model.layers.{}.", config.layers);
  std::vector<std::string> said;
  if (lora > 0)
    said.push_back(
        fmt::format("{} are a LoRA adapter that is not merged, so the answers are those of the "
                    "model without it: merge it with PEFT's merge_and_unload()",
                    lora));
  if (pictures > 0)
    said.push_back(
        fmt::format("{} are of the part that reads pictures, which is not run", pictures));
  if (head > 0)
    said.push_back(
        "lm_head is not used, because config.json ties the output to model.embed_tokens");
  if (norms > 0)
    said.push_back(
        fmt::format("{} are norms, which {} models do not have: if the model was trained with "
                    "them, its answers are wrong and config.json names another family than its own",
                    norms, config.model_type));
  if (count_of(unread, {beyond}) > 0)
    said.push_back(fmt::format("config.json says {} layers, the tensors have more", config.layers));
  return said.empty() ? "" : fmt::format("; {}", fmt::join(said, "; "));
}

}  // namespace

std::vector<const TensorInfo*> unread_tensors(const Checkpoint& checkpoint,
                                              const ModelGraph& model) {
  const std::set<std::string> read = read_names(model);
  Names unread;
  for (const TensorInfo& tensor : checkpoint.tensors())
    if (!read.contains(tensor.name) && !tensor.name.ends_with("rotary_emb.inv_freq"))
      unread.push_back(&tensor);
  return unread;
}

void warn_of_unread(const Checkpoint& checkpoint, const ModelGraph& model) {
  const Names unread = unread_tensors(checkpoint, model);
  if (unread.empty()) return;
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(unread.size(), kShownNames); ++i)
    shown.push_back(unread[i]->name);
  warn(fmt::format("{}: {} of {} tensors are not read, such as {}{}",
                   checkpoint.directory().string(), unread.size(), checkpoint.tensors().size(),
                   fmt::join(shown, ", "), what_they_are(unread, checkpoint.config())));
}

}  // namespace ropewalk
