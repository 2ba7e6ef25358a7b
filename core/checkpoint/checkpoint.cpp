#include "core/checkpoint/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <utility>

#include "core/base/log.h"
#include "core/checkpoint/foreign.h"
#include "core/checkpoint/formats/files.h"
#include "core/checkpoint/formats/tensor_file.h"
#include "core/checkpoint/names.h"
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
    drop_copies(directory, plan);
    check_index(directory, plan);
    if (const std::string found = settle_names(tensors_); !found.empty())
      note(fmt::format("{}: {}; read under the model's own names", directory_.string(), found));
    sort_tensors(directory);
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

  // A tensor that two files hold is the one of the file that the index names.
  void drop_copies(const ModelDirectory& directory, const ShardPlan& plan) {
    std::map<std::string_view, std::set<std::string_view>> holders;
    for (const TensorInfo& tensor : tensors_) holders[tensor.name].insert(tensor.file);
    std::string first;
    std::vector<size_t> kept;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const TensorInfo& tensor = tensors_[i];
      const auto named = plan.weight_map.find(tensor.name);
      const bool copy = named != plan.weight_map.end() && named->second != tensor.file &&
                        holders[tensor.name].contains(named->second);
      if (!copy) kept.push_back(i);
      if (copy && first.empty()) first = fmt::format("{} of {}", tensor.name, tensor.file);
    }
    if (kept.size() == tensors_.size()) return;
    warn(
        fmt::format("{}: {} tensors are in two files; those that it does not name are not read, "
                    "such as {}",
                    directory.path_of(plan.index), tensors_.size() - kept.size(), first));
    std::vector<TensorInfo> tensors;
    std::vector<Place> places;
    for (const size_t i : kept) {
      tensors.push_back(std::move(tensors_[i]));
      places.push_back(places_[i]);
    }
    tensors_ = std::move(tensors);
    places_ = std::move(places);
  }

  // The files decide what there is. The index is refused only where a file is missing that it says
  // holds a tensor which no other file has; else one warning tells how it is wrong.
  void check_index(const ModelDirectory& directory, const ShardPlan& plan) const {
    if (plan.index.empty()) return;
    std::map<std::string_view, std::string_view> files;  // tensor -> file
    uint64_t total = 0;
    for (const TensorInfo& tensor : tensors_) {
      files.emplace(tensor.name, tensor.file);
      total += tensor.bytes;
    }
    std::vector<std::string> elsewhere, nowhere, wrong;
    for (const auto& [name, file] : plan.weight_map) {
      const auto found = files.find(name);
      if (found != files.end() && found->second != file) elsewhere.push_back(name);
      if (found != files.end()) continue;
      if (!std::binary_search(plan.files.begin(), plan.files.end(), file))
        refuse(directory.path_of(file),
               fmt::format("does not exist, but {} names it for {}", plan.index, printable(name)),
               "Download the missing file");
      nowhere.push_back(name);
    }
    const auto add = [&](const std::vector<std::string>& names, std::string_view are) {
      if (!names.empty())
        wrong.push_back(fmt::format("{} of its tensors are in {}, such as {}", names.size(), are,
                                    printable(names.front())));
    };
    add(elsewhere, "another file");
    add(nowhere, "no file");
    if (plan.total_size != 0 && plan.total_size != total)
      wrong.push_back(fmt::format("metadata.total_size is {}, but the tensors have {} bytes",
                                  plan.total_size, total));
    if (!wrong.empty())
      warn(fmt::format("{}: {}; the files decide", directory.path_of(plan.index),
                       fmt::join(wrong, ", ")));
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
  const std::string similar = similar_name(tensors_, name);
  refuse(fmt::format("{}: {}", directory_.string(), printable(name)),
         fmt::format("the tensor is missing from the {} of this checkpoint", tensors_.size()),
         similar.empty()
             ? "The checkpoint is incomplete: download it again"
             : fmt::format("One is named {}: save the model by itself, with save_pretrained()",
                           printable(similar)));
}

}  // namespace ropewalk
