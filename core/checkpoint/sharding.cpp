#include "core/checkpoint/sharding.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "core/base/log.h"
#include "core/checkpoint/refuse.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxIndexBytes = 32 << 20;
constexpr size_t kMaxShards = 1000;

struct Format {
  Container container;
  std::string_view suffix;        // ".safetensors"
  std::string_view default_stem;  // "model"
};
constexpr Format kSafetensors{Container::safetensors, ".safetensors", "model"};
constexpr Format kTorchBin{Container::torch_bin, ".bin", "pytorch_model"};

// The parts of NAME-00002-of-00005.safetensors, as transformers and AutoGPTQ write them.
struct ShardName {
  std::string stem;  // NAME
  uint32_t number, count;
};

std::optional<uint32_t> digits(std::string_view text) {
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.size() != 5 || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<ShardName> shard_name(std::string_view name, std::string_view suffix) {
  constexpr size_t kTail = std::string_view("-00001-of-00001").size();
  if (!name.ends_with(suffix) || name.size() < suffix.size() + kTail + 1) return std::nullopt;
  name.remove_suffix(suffix.size());
  const std::string_view tail = name.substr(name.size() - kTail);
  const auto number = digits(tail.substr(1, 5)), count = digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  return ShardName{std::string(name.substr(0, name.size() - kTail)), *number, *count};
}

// Whatever else stands there is worth no more than nothing: no weight depends on it.
uint64_t total_size(const Json& index) {
  const auto metadata = index.find("metadata");
  if (metadata == index.end() || !metadata->is_object()) return 0;
  const auto size = metadata->find("total_size");
  return size != metadata->end() && size->is_number_unsigned() ? size->get<uint64_t>() : 0;
}

class Planner {
 public:
  Planner(const ModelDirectory& directory, const Format& format, const std::string& base_name)
      : directory_(directory), format_(format), base_name_(base_name), names_(directory.names()) {}

  std::optional<ShardPlan> plan() const {
    if (const auto file = find_single()) {
      const std::vector<std::string> indices = find_indices();
      for (const std::string& index : indices)
        if (counts(index, *file)) return from_index(index);
      if (!indices.empty())
        warn(fmt::format("{}: is not used, because {} is there and it does not name that",
                         directory_.path_of(indices.front()), *file));
      return single(*file);
    }
    if (const auto index = find_index()) return from_index(*index);
    if (auto set = complete_set()) return set;
    // *.bin alone is no sign of a model: training_args.bin, optimizer.bin.
    if (format_.container == Container::safetensors) return any_single();
    return std::nullopt;
  }

 private:
  bool has(const std::string& name) const {
    return std::binary_search(names_.begin(), names_.end(), name);
  }

  ShardPlan single(const std::string& file) const {
    ShardPlan plan;
    plan.container = format_.container;
    plan.files = {file};
    return plan;
  }

  // As transformers does: a file that is the whole model needs no index.
  std::optional<std::string> find_single() const {
    for (const std::string& stem : {base_name_, std::string(format_.default_stem)}) {
      const std::string file = stem + std::string(format_.suffix);
      if (!stem.empty() && has(file)) return file;
    }
    return std::nullopt;
  }

  // Whether the index names `file`; one that cannot be read names nothing.
  bool counts(const std::string& index, const std::string& file) const {
    try {
      const Json json =
          parse_json(directory_.read_text(index, kMaxIndexBytes), {"", ExitCode::model});
      const auto map = json.find("weight_map");
      return map != json.end() && std::any_of(map->begin(), map->end(),
                                              [&](const Json& named) { return named == file; });
    } catch (const Error&) {
      return false;
    }
  }

  std::vector<std::string> find_indices() const {
    const std::string ending = std::string(format_.suffix) + ".index.json";
    std::vector<std::string> found;
    for (const std::string& name : names_)
      if (name.ends_with(ending)) found.push_back(name);
    return found;
  }

  std::optional<std::string> find_index() const {
    const std::string ending = std::string(format_.suffix) + ".index.json";
    for (const std::string& stem : {std::string(format_.default_stem), base_name_})
      if (!stem.empty() && has(stem + ending)) return stem + ending;
    const std::vector<std::string> found = find_indices();
    if (found.size() > 1)
      refuse(directory_.path_of(found[1]), fmt::format("is a second index beside {}", found[0]),
             "Keep the one that belongs");
    return found.empty() ? std::nullopt : std::optional(found[0]);
  }

  ShardPlan from_index(const std::string& index) const;
  std::vector<std::string> unlisted(const std::set<std::string>& files) const;
  std::optional<ShardPlan> complete_set() const;
  std::optional<ShardPlan> any_single() const;

  const ModelDirectory& directory_;
  const Format& format_;
  const std::string& base_name_;
  const std::vector<std::string> names_;
};

ShardPlan Planner::from_index(const std::string& index) const {
  const JsonSource source{directory_.path_of(index), ExitCode::model};
  const Json json = parse_json(directory_.read_text(index, kMaxIndexBytes), source);
  const JsonFields fields(json, source, "");
  const JsonFields weight_map = fields.child("weight_map");
  ShardPlan plan;
  plan.container = format_.container;
  plan.index = index;
  std::set<std::string> files;
  for (const auto& [tensor, file] : weight_map.json().items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : std::string();
    if (!is_plain_name(name) || !name.ends_with(format_.suffix))
      weight_map.fail(tensor,
                      fmt::format("found \"{}\", expected the plain name of a {} file",
                                  printable(name), format_.suffix),
                      "A model's files must lie in its own directory");
    plan.weight_map.emplace(tensor, name);
    if (files.insert(name).second && files.size() > kMaxShards)
      fields.fail("weight_map", fmt::format("names more than {} files", kMaxShards), "");
  }
  if (files.empty()) fields.fail("weight_map", "names no file", kDownloadAgain);
  for (const std::string& file : unlisted(files)) files.insert(file);
  for (const std::string& file : files)
    if (has(file)) plan.files.push_back(file);
  if (plan.files.empty())
    refuse(directory_.path_of(*files.begin()),
           fmt::format("does not exist, but {} names it", index), "Download the missing file");
  plan.total_size = total_size(json);
  return plan;
}

// Shards beside those that the index names: one of the same set is read too, one of another set is
// of another download. Other files (consolidated.safetensors) do not matter.
std::vector<std::string> Planner::unlisted(const std::set<std::string>& files) const {
  std::map<std::string, uint32_t> sets;  // stem -> count
  for (const std::string& file : files)
    if (const auto shard = shard_name(file, format_.suffix)) sets[shard->stem] = shard->count;
  std::vector<std::string> found;
  for (const std::string& name : names_) {
    const auto shard = shard_name(name, format_.suffix);
    if (!shard || !sets.contains(shard->stem) || files.contains(name)) continue;
    const bool same = sets[shard->stem] == shard->count;
    warn(fmt::format("{}: is a shard that the index does not name; it is {}",
                     directory_.path_of(name), same ? "read too" : "not read"));
    if (same) found.push_back(name);
  }
  return found;
}

std::optional<ShardPlan> Planner::complete_set() const {
  std::map<std::pair<std::string, uint32_t>, std::vector<std::string>> sets;
  for (const std::string& name : names_)
    if (const auto shard = shard_name(name, format_.suffix))
      sets[{shard->stem, shard->count}].push_back(name);
  if (sets.empty()) return std::nullopt;
  if (sets.size() > 1)
    refuse(directory_.path_of(sets.rbegin()->second.front()),
           fmt::format("belongs to another set of shards than {}", sets.begin()->second.front()),
           "Keep one set, or add its index");
  const auto& [key, files] = *sets.begin();
  const auto& [stem, count] = key;
  if (count == 0 || count > kMaxShards)
    refuse(directory_.path_of(files.front()),
           fmt::format("is one of {} shards, expected 1 to {}", count, kMaxShards), "");
  for (uint32_t number = 1; number <= count; ++number) {
    const std::string name =
        fmt::format("{}-{:05}-of-{:05}{}", stem, number, count, format_.suffix);
    if (!has(name))
      refuse(directory_.path_of(name),
             fmt::format("does not exist, but {} other shards do", files.size()),
             "Download the missing file");
  }
  ShardPlan plan = single(files.front());
  plan.files = files;
  return plan;
}

std::optional<ShardPlan> Planner::any_single() const {
  std::vector<std::string> found;
  for (const std::string& name : names_)
    if (name.ends_with(format_.suffix)) found.push_back(name);
  if (found.size() > 1)
    refuse(directory_.path_of(found[1]),
           fmt::format("is one of {} {} files and no index says which belong together",
                       found.size(), format_.suffix),
           "Keep one, call it model.safetensors, or set model_file_base_name in "
           "quantize_config.json");
  return found.empty() ? std::nullopt : std::optional(single(found[0]));
}

}  // namespace

ShardPlan plan_shards(const ModelDirectory& directory, const std::string& base_name) {
  for (const Format& format : {kSafetensors, kTorchBin})
    if (auto plan = Planner(directory, format, base_name).plan()) return *std::move(plan);
  refuse(directory.path_of("model.safetensors"),
         "does not exist, nor any other *.safetensors file or pytorch_model.bin",
         "Give the directory of a downloaded model");
}

}  // namespace ropewalk
