#include "apps/open.h"

#include <fmt/format.h>

#include <fstream>
#include <utility>

#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/base/git_lfs.h"
#include "core/base/utf8.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/config/model_path.h"
#include "core/engine/run_adapters.h"
#include "core/json/json.h"
#include "core/model/families.h"
#include "core/model/unread.h"

namespace ropewalk {

namespace {

// Whoever may write there can make us run their code. The registry warns; --strict refuses here.
void check_plugin_folders(const Config& config, Trust trust) {
  if (trust != Trust::refuse) return;
  for (const std::filesystem::path& path : config.plugin_paths) {
    std::error_code error;
    const bool folder = std::filesystem::is_directory(path, error);
    check_writable_by_others(folder ? path : path.parent_path(), trust);
  }
}

// The first bytes of a regular file; empty: there are none to read.
std::string first_bytes(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return "";
  std::string bytes(kLfsPointerBegin.size(), '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

std::string folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path().string() : ".";
}

// A file of a model in the configuration's place, by its name or by what it begins with.
void refuse_model_file(const std::string& target) {
  const std::string begin = first_bytes(target);
  if (target.ends_with(".gguf") || begin.starts_with("GGUF"))
    throw Error(ExitCode::usage, target,
                "is a GGUF file, expected a configuration or a model's folder",
                "GPTQ models in safetensors files are read, and dense ones: take those files");
  if (is_lfs_pointer(begin)) throw Error(ExitCode::usage, target, kLfsPointer, kLfsAdvice);
  const std::filesystem::path file(target);
  // safetensors: eight bytes of a length, of which the last is zero, and a JSON object.
  const bool safetensors = begin.size() > 8 && begin[7] == '\0' && begin[8] == '{';
  bool of_model = safetensors || begin.starts_with("PK\x03\x04");
  for (const char* ending : {".safetensors", ".bin", ".pt", ".pth"})
    of_model |= file.extension() == ending;
  // JSON is YAML too, but a JSON file beside a config.json is not a configuration.
  std::error_code error;
  of_model |= file.filename() == "tokenizer.model" ||
              (file.extension() == ".json" &&
               std::filesystem::exists(file.parent_path() / "config.json", error));
  if (of_model)
    throw Error(ExitCode::usage, target,
                "is a file of a model, expected a configuration or a model's folder",
                fmt::format("Give the folder: {}", folder_of(file)));
}

ConfigSource source_of(const CommonArguments& arguments, const std::string& file) {
  return {.file = file, .overrides = arguments.overrides, .trust = arguments.trust};
}

}  // namespace

Config open_config(const CommonArguments& arguments) {
  std::error_code error;
  const std::string& target = arguments.target;
  const bool is_yaml = target.ends_with(".yaml") || target.ends_with(".yml");
  const bool is_hub_name =
      as_hub_name(target) && !is_yaml && !std::filesystem::exists(target, error);
  const bool is_model = is_hub_name || std::filesystem::is_directory(target, error);
  if (is_model) return config_without_file(arguments, target);
  if (!is_yaml && !std::filesystem::exists(target, error))
    throw Error(ExitCode::usage, target, "is neither a configuration nor a model's folder",
                "Give a YAML file, a model's folder, or ORG/NAME as Hugging Face's cache has it");
  refuse_model_file(target);
  Config config = load_config(source_of(arguments, target));
  check_plugin_folders(config, arguments.trust);
  return config;
}

Config config_without_file(const CommonArguments& arguments, const std::string& model) {
  if (utf8_first_error(model) != std::string_view::npos)
    throw Error(ExitCode::usage, model, "is not UTF-8, expected a path that is", "Rename it");
  // A JSON text is a quoted scalar of YAML too.
  const std::string text = fmt::format("model: {}\n", Json(model).dump());
  Config config = parse_config(text, source_of(arguments, "command line"));
  check_plugin_folders(config, arguments.trust);
  return config;
}

std::unique_ptr<TraceFile> open_trace(const CommonArguments& arguments) {
  return arguments.trace.empty() ? nullptr : std::make_unique<TraceFile>(arguments.trace);
}

Engine open_engine(const CommonArguments& arguments, const Config& config, TextNeed text) {
  require_model(config.model, config.hub_name);
  Progress progress("loading the model", progress_for(arguments));
  RuntimeSettings settings;
  settings.config = config;
  settings.load_progress = [&](uint64_t done, uint64_t total) { progress.show_bytes(done, total); };
  return Engine(settings, text);
}

OpenModel open_checkpoint(const CommonArguments& arguments, RuntimeSettings settings) {
  require_model(settings.config.model, settings.config.hub_name);
  const std::unique_ptr<Checkpoint> checkpoint =
      Checkpoint::open(settings.config.model, config_families());
  const CheckpointWeights weights(*checkpoint);
  settings.adapters = adapters_of(settings.config, *checkpoint);
  settings.graph_built = [&](const ModelGraph& graph) { warn_of_unread(*checkpoint, graph); };
  return open_weights(arguments, std::move(settings), weights);
}

OpenModel open_weights(const CommonArguments& arguments, RuntimeSettings settings,
                       const WeightSource& weights) {
  Progress progress("loading the model", progress_for(arguments));
  settings.load_progress = [&](uint64_t done, uint64_t total) {
    throw_if_stopped();  // of a command that asks for signals before it loads
    progress.show_bytes(done, total);
  };
  return OpenModel(settings, weights);
}

}  // namespace ropewalk
