#include "core/checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>

#include "core/base/log.h"
#include "core/checkpoint/foreign.h"
#include "core/checkpoint/formats/files.h"
#include "core/checkpoint/formats/tensor_file.h"
#include "core/checkpoint/refuse.h"
#include "core/checkpoint/sharding.h"
#include "core/checkpoint/weights/gptq.h"

namespace ropewalk {
namespace {

// The tensors of one or several files under their names.
class ShardedCheckpoint final : public Checkpoint {
 public:
  ShardedCheckpoint(const std::filesystem::path& path, std::span<const ConfigFamily> families) {
    directory_ = path;
    const ModelDirectory directory(path);
    refuse_foreign_files(directory);
    config_ = read_model_config(path, families);
    quantization_ = read_quant_config(path);
    const ShardPlan plan =
        plan_shards(directory, quantization_ ? quantization_->model_file_base_name : "");
    open_files(directory, plan);
    sort_tensors(directory);
    check_index(directory, plan);
    refuse_foreign_tensors(tensors_, directory);
    check_quantization(directory);
  }

  void read_from(const TensorInfo& tensor, uint64_t offset,
                 std::span<std::byte> out) const override {
    const Place& place = places_[index_of(get(tensor.name))];
    files_[place.file]->read_from(place.index, offset, out);
  }

  void check_unchanged() const override {
    for (const auto& file : files_)
      if (file->file().changed() && !warned_.exchange(true))
        warn(
            fmt::format("{}: changed while it was being read; if answers look wrong, load it again",
                        file->file().path()));
  }

 private:
  struct Place {
    size_t file, index;
  };

  size_t index_of(const TensorInfo& tensor) const {
    return static_cast<size_t>(&tensor - tensors_.data());
  }

  void open_files(const ModelDirectory& directory, const ShardPlan& plan) {
    const auto open = plan.container == Container::safetensors ? open_safetensors : open_torch_bin;
    for (const std::string& name : plan.files) {
      files_.push_back(open(directory.open(name)));
      const auto& tensors = files_.back()->tensors();
      for (size_t i = 0; i < tensors.size(); ++i) {
        places_.push_back({files_.size() - 1, i});
        tensors_.push_back(tensors[i]);
        tensors_.back().file = name;
      }
    }
  }

  void sort_tensors(const ModelDirectory& directory) {
    std::vector<size_t> order(tensors_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return tensors_[a].name < tensors_[b].name; });
    std::vector<TensorInfo> tensors;
    std::vector<Place> places;
    for (const size_t i : order) {
      if (!tensors.empty() && tensors.back().name == tensors_[i].name)
        refuse(fmt::format("{}: {}", directory.path_of(tensors_[i].file), tensors_[i].name),
               fmt::format("is also in {}, expected each tensor once", tensors.back().file),
               "Keep the file that belongs to the model");
      tensors.push_back(std::move(tensors_[i]));
      places.push_back(places_[i]);
    }
    tensors_ = std::move(tensors);
    places_ = std::move(places);
  }

  void check_index(const ModelDirectory& directory, const ShardPlan& plan) const {
    if (plan.index.empty()) return;
    const std::string index = directory.path_of(plan.index);
    for (const auto& [name, file] : plan.weight_map) {
      const TensorInfo* tensor = find(name);
      if (!tensor || tensor->file != file)
        refuse(fmt::format("{}: weight_map.{}", index, printable(name)),
               fmt::format("found {}, but the tensor is {}", file,
                           tensor ? "in " + tensor->file : "in none of the files"),
               "Download the index and the shards of one revision");
    }
    uint64_t total = 0;
    for (const TensorInfo& tensor : tensors_) total += tensor.bytes;
    if (plan.total_size != 0 && plan.total_size != total)
      refuse(fmt::format("{}: metadata.total_size", index),
             fmt::format("found {}, expected {}, the bytes of all tensors", plan.total_size, total),
             "A shard is of another revision: download them again; or, where the model is known to "
             "be whole, delete the field");
  }

  void check_quantization(const ModelDirectory& directory) const {
    const auto packed =
        std::find_if(tensors_.begin(), tensors_.end(),
                     [](const TensorInfo& tensor) { return tensor.name.ends_with(".qweight"); });
    if (packed != tensors_.end() && !quantization_)
      refuse(directory.path_of("quantize_config.json"),
             fmt::format("does not exist and config.json has no quantization_config, but {} is "
                         "quantised",
                         packed->name),
             "Download quantize_config.json too");
    if (packed != tensors_.end()) warn_of_order(*this);
  }

  std::vector<std::unique_ptr<TensorFile>> files_;
  std::vector<Place> places_;  // of tensors_[i]
  mutable std::atomic<bool> warned_ = false;
};

}  // namespace

std::unique_ptr<Checkpoint> Checkpoint::open(const std::filesystem::path& directory,
                                             std::span<const ConfigFamily> families) {
  return std::make_unique<ShardedCheckpoint>(directory, families);
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const TensorInfo& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

const TensorInfo& Checkpoint::get(std::string_view name) const {
  if (const TensorInfo* tensor = find(name)) return *tensor;
  refuse(fmt::format("{}: {}", directory_.string(), printable(name)),
         fmt::format("the tensor is missing from the {} of this checkpoint", tensors_.size()),
         "The checkpoint is incomplete: download it again");
}

}  // namespace ropewalk
