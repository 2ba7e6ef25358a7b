#include "core/adapter/adapter.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "core/adapter/adapter_keys.h"
#include "core/checkpoint/refuse.h"
#include "core/checkpoint/weights/finite.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;
constexpr std::string_view kSafetensors = "adapter_model.safetensors", kBin = "adapter_model.bin";
constexpr std::string_view kTable = "model.embed_tokens";

AdapterConfig read_config(const ModelDirectory& directory) {
  const JsonSource source{directory.path_of(kAdapterConfigName), ExitCode::model};
  return parse_adapter_config(
      parse_json(directory.read_text(kAdapterConfigName, kMaxConfigBytes), source), source);
}

std::unique_ptr<TensorFile> open_weights(const ModelDirectory& directory) {
  const bool safe = directory.contains(kSafetensors), bin = directory.contains(kBin);
  if (safe && bin)
    refuse(directory.path_of(kBin),
           fmt::format("lies beside {}: programs differ in which of them they read", kSafetensors),
           "Keep the one that belongs to the adapter");
  if (!safe && !bin)
    refuse(directory.path_of(kSafetensors),
           fmt::format("does not exist, and neither does {}", kBin),
           "Download the adapter's weights too");
  return safe ? open_safetensors(directory.open(kSafetensors))
              : open_torch_bin(directory.open(kBin));
}

const std::vector<uint32_t>* ids_of(const AdapterConfig& config, const std::string& module) {
  for (const auto& [name, ids] : config.token_rows)
    if (name.empty() ? module == kTable : module == name || module.ends_with("." + name))
      return &ids;
  return nullptr;
}

}  // namespace

std::string Adapter::weights_file() const {
  return std::filesystem::path(file_->file().path()).filename().string();
}

Adapter::Adapter(const std::filesystem::path& path) : directory_(path) {
  const ModelDirectory directory(path);
  config_ = read_config(directory);
  file_ = open_weights(directory);
  sort_tensors();
  for (LowRank& pair : low_ranks_) check_pair(pair);
  if (low_ranks_.empty() && replacements_.empty() && token_rows_.empty())
    refuse(file_->file().path(), "holds no tensor, expected those of a LoRA", kDownloadAgain);
}

std::string Adapter::place_of(const TensorInfo& tensor) const {
  return fmt::format("{}: {}", file_->file().path(), tensor.name);
}

void Adapter::sort_tensors() {
  std::map<std::string, LowRank> pairs;
  std::optional<std::string> own_name;
  for (const TensorInfo& tensor : file_->tensors()) {
    const auto key = parse_adapter_key(tensor.name);
    if (!key)
      refuse(place_of(tensor), "is no tensor of a LoRA that PEFT saves",
             "Save the adapter again with PEFT's save_pretrained()");
    if (!is_float(tensor.type))
      refuse(place_of(tensor),
             fmt::format("is {}, expected F32, F16 or BF16", stored_name(tensor.type)), "");
    if (own_name.value_or(key->adapter) != key->adapter)
      refuse(place_of(tensor),
             fmt::format("belongs to the adapter \"{}\", others in the file to \"{}\"",
                         printable(key->adapter), printable(*own_name)),
             "Save one adapter with PEFT's save_pretrained()");
    own_name = key->adapter;
    if (key->role == AdapterRole::replacement) {
      replacements_.push_back({key->target, &tensor});
      continue;
    }
    if (key->role == AdapterRole::token_rows) {
      const auto* ids = ids_of(config_, key->target);
      if (!ids || tensor.shape.size() != 2 || tensor.shape[0] != ids->size())
        refuse(place_of(tensor),
               fmt::format("has the shape [{}], expected a row for each of the {} tokens of "
                           "trainable_token_indices",
                           fmt::join(tensor.shape, ", "), ids ? ids->size() : 0),
               kDownloadAgain);
      token_rows_.push_back({key->target, *ids, &tensor});
      continue;
    }
    LowRank& pair = pairs[key->target];
    pair.module = key->target;
    const bool table = key->role == AdapterRole::table_a || key->role == AdapterRole::table_b;
    pair.table = pair.table || table;
    const TensorInfo** place = &pair.magnitude;
    if (key->role == AdapterRole::a || key->role == AdapterRole::table_a) place = &pair.a;
    if (key->role == AdapterRole::b || key->role == AdapterRole::table_b) place = &pair.b;
    if (key->role == AdapterRole::b_bias) place = &pair.bias;
    if (*place)
      refuse(place_of(tensor), fmt::format("is there twice, as {} too", (*place)->name),
             "Save the adapter again with PEFT's save_pretrained()");
    *place = &tensor;
  }
  for (auto& [module, pair] : pairs) low_ranks_.push_back(std::move(pair));
}

void Adapter::check_pair(LowRank& pair) const {
  if (!pair.a || !pair.b) {
    const TensorInfo* there = pair.a      ? pair.a
                              : pair.b    ? pair.b
                              : pair.bias ? pair.bias
                                          : pair.magnitude;
    refuse(place_of(*there), fmt::format("has no {} beside it", pair.a ? "lora_B" : "lora_A"),
           kDownloadAgain);
  }
  if (pair.a->shape.size() != 2 || pair.b->shape.size() != 2)
    refuse(place_of(*(pair.a->shape.size() != 2 ? pair.a : pair.b)), "is no matrix, expected one",
           "Only linear layers and tables of embeddings can be adapted");
  const uint32_t rank = config_.rank_of(pair.module);
  if (pair.a->shape[0] != rank || pair.b->shape[1] != rank) {
    const bool in_a = pair.a->shape[0] != rank;
    refuse(place_of(*(in_a ? pair.a : pair.b)),
           fmt::format("has the rank {}, expected {} as {} says",
                       in_a ? pair.a->shape[0] : pair.b->shape[1], rank, kAdapterConfigName),
           "Take the config and the weights of one training run");
  }
  pair.rank = rank;
  pair.scale = config_.scale_of(pair.module);
  pair.rows = pair.table ? pair.a->shape[1] : pair.b->shape[0];
  pair.cols = pair.table ? pair.b->shape[0] : pair.a->shape[1];
  for (const TensorInfo* vector : {pair.bias, pair.magnitude})
    if (vector && (vector->shape.size() != 1 || vector->shape[0] != pair.rows))
      refuse(place_of(*vector),
             fmt::format("has the shape [{}], expected [{}]", fmt::join(vector->shape, ", "),
                         pair.rows),
             kDownloadAgain);
  if (config_.dora != (pair.magnitude != nullptr))
    refuse(pair.magnitude ? place_of(*pair.magnitude) : place_of(*pair.a),
           fmt::format("{} a magnitude, but {} says use_dora: {}", pair.magnitude ? "is" : "lacks",
                       kAdapterConfigName, config_.dora),
           "Take the config and the weights of one training run");
  if (pair.table && pair.magnitude)
    refuse(place_of(*pair.magnitude), "is a DoRA of a table of embeddings, expected linear layers",
           "Merge it with PEFT itself");
}

std::vector<float> Adapter::read(const TensorInfo& tensor, uint64_t first, uint64_t count) const {
  const uint64_t row =
      tensor.shape.empty() || tensor.shape[0] == 0 ? 0 : tensor.bytes / tensor.shape[0];
  std::vector<std::byte> bytes(row * count);
  const auto index = static_cast<size_t>(&tensor - file_->tensors().data());
  file_->read_from(index, first * row, bytes);
  const NonFinite bad = count_non_finite(tensor.type, bytes);
  if (bad.count > 0)
    refuse(place_of(tensor),
           fmt::format("found {} values that are NaN or infinite, the first at index {}", bad.count,
                       first * (row / stored_size(tensor.type)) + bad.first),
           "The training diverged or the file is damaged");
  return to_floats(tensor.type, bytes);
}

}  // namespace ropewalk
