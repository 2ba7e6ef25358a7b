// load.cpp — from the tree of values to the structs of config.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/base/error.h"
#include "core/config/config.h"
#include "core/config/file.h"
#include "core/config/keys.h"
#include "core/config/merge.h"
#include "core/config/model_path.h"
#include "core/config/plugin_choice.h"
#include "core/config/scalars.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxStops = 64;
constexpr size_t kMaxStopBytes = 1024;

// Reads one key after another. An absent key reads as nothing and keeps the struct's default.
class Reader {
 public:
  Reader(const ConfigValue& tree, const std::filesystem::path& file)
      : tree_(tree), folder_(std::filesystem::absolute(file).parent_path()) {}

  const ConfigValue* find(std::string_view path) const {
    const ConfigValue* value = &tree_;
    for (size_t start = 0; value && start <= path.size();) {
      const size_t end = std::min(path.find('.', start), path.size());
      value = value->find(path.substr(start, end - start));
      start = end + 1;
    }
    return value;
  }

  // Into a uint32_t or an optional one.
  template <class Out>
  void integer(std::string_view path, Out& out) const {
    const ConfigValue* value = find(path);
    if (!value) return;
    const KeyInfo& key = key_info(path);
    const std::optional<uint64_t> parsed = as_unsigned(*value);
    if (!parsed || *parsed < key.minimum || *parsed > key.maximum) refuse_type(*value, key);
    out = static_cast<uint32_t>(*parsed);
  }

  void seed(std::string_view path, uint64_t& out) const {
    const ConfigValue* value = find(path);
    if (!value) return;
    const std::optional<uint64_t> parsed = as_unsigned(*value);
    if (!parsed) refuse_type(*value, key_info(path));
    out = *parsed;
  }

  // Into a bool or an optional one.
  template <class Out>
  void boolean(std::string_view path, Out& out) const {
    const ConfigValue* value = find(path);
    if (!value) return;
    const std::optional<bool> parsed = as_boolean(*value);
    if (!parsed) refuse_type(*value, key_info(path));
    out = *parsed;
  }

  // Into a string or an optional one.
  template <class Out>
  void text(std::string_view path, Out& out) const {
    const ConfigValue* value = find(path);
    if (!value) return;
    const std::optional<std::string> parsed = as_text(*value);
    if (!parsed) refuse_type(*value, key_info(path));
    out = *parsed;
  }

  // The words of a choice stand in the order of the enumeration.
  template <class Enum>
  void choice(std::string_view path, Enum& out) const {
    const ConfigValue* value = find(path);
    if (!value) return;
    const KeyInfo& key = key_info(path);
    const std::string word = value->kind == ValueKind::scalar ? value->text : "";
    std::string_view rest = key.choices;
    for (int index = 0; !rest.empty(); ++index) {
      const size_t end = std::min(rest.find(' '), rest.size());
      if (rest.substr(0, end) == word) {
        out = static_cast<Enum>(index);
        return;
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    refuse_type(*value, key);
  }

  std::vector<std::string> texts(std::string_view path) const {
    const ConfigValue* value = find(path);
    if (!value) return {};
    const KeyInfo& key = key_info(path);
    if (value->kind != ValueKind::list) refuse_type(*value, key);
    std::vector<std::string> texts;
    for (const ConfigValue& item : value->items) {
      const std::optional<std::string> text = as_text(item);
      if (!text) refuse_type(item, key);
      texts.push_back(*text);
    }
    return texts;
  }

  // Absolute. ~ and ${HOME} are refused: only a shell replaces them, here they would be file names.
  std::filesystem::path path(const ConfigValue& value, const KeyInfo& key) const {
    const std::optional<std::string> text = as_text(value);
    if (!text || text->empty()) refuse_type(value, key);
    if (text->starts_with("~/") || text->find("${") != std::string::npos)
      refuse(value.where, value.where.said_of(key.path, mismatch(value, "a path")),
             "Write ~ and variables out, only a shell replaces them");
    const bool in_file = value.where.line != 0;
    const std::filesystem::path base =
        in_file ? std::filesystem::absolute(value.where.file).parent_path() : folder_;
    return (base / *text).lexically_normal();
  }

  [[noreturn]] static void refuse(const Where& where, std::string_view what,
                                  std::string_view advice) {
    throw Error(ExitCode::usage, where.text(), what, advice);
  }

  [[noreturn]] static void refuse_type(const ConfigValue& value, const KeyInfo& key) {
    refuse(value.where, value.where.said_of(key.path, mismatch(value, expectation(key))), "");
  }

 private:
  const ConfigValue& tree_;
  std::filesystem::path folder_;  // of the file that was named on the command line
};

void read_model(const Reader& reader, Config& config) {
  const ConfigValue* model = reader.find("model");
  if (!model)
    Reader::refuse({config.file.string()}, "model is missing, expected a path",
                   "Add a line such as model: ../models/airophin-mini");
  config.model = reader.path(*model, key_info("model"));
  std::error_code error;
  const std::optional<HubName> named = as_hub_name(model->text);
  if (named && !std::filesystem::exists(config.model, error)) {
    config.hub_name = model->text;
    config.model = find_in_hub_cache(*named).value_or(config.model);
  }
  config.model = within_hub_cache(config.model);
}

void read_backend(const Reader& reader, BackendConfig& backend) {
  const ConfigValue* value = reader.find("backend");
  if (!value) return;
  backend.plugin = read_block(*value, "backend", "name");
  if (backend.plugin.name.empty()) backend.plugin.name = "auto";
  reader.integer("backend.device", backend.device);
  std::erase_if(backend.plugin.options,
                [](const ConfigEntry& option) { return option.key == "device"; });
  if (backend.plugin.name == "auto" && !backend.plugin.options.empty())
    Reader::refuse(backend.plugin.options.front().where,
                   fmt::format("backend: found the option {} without a backend's name",
                               printable(backend.plugin.options.front().key)),
                   "Say whose option it is, for example {name: cpu, ...}");
}

// exllama's names for two options.
void rename_options(PluginChoice& rope) {
  struct Alias {
    std::string_view policy, other, name;
  };
  constexpr std::array kAliases = {Alias{"linear", "compress_pos_emb", "factor"},
                                   Alias{"ntk", "alpha_value", "alpha"}};
  for (const Alias& alias : kAliases)
    for (ConfigEntry& option : rope.options)
      if (rope.name == alias.policy && option.key == alias.other) option.key = alias.name;
}

void read_rope(const Reader& reader, std::optional<PluginChoice>& rope) {
  const ConfigValue* value = reader.find("rope");
  if (!value) return;
  PluginChoice choice = read_block(*value, "rope", "policy");
  if (choice.name.empty())
    Reader::refuse(value->where, "rope: policy is missing, expected a name",
                   "For example rope: {policy: linear, factor: 2.0}");
  if (choice.name == "from-model" && !choice.options.empty())
    Reader::refuse(choice.options.front().where, "rope: from-model has no options",
                   "Name a policy, or remove the options");
  if (choice.name == "from-model") return;
  rename_options(choice);
  rope = std::move(choice);
}

// Names stand behind a colon in a model's name, and in lists.
bool is_adapter_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, plain) &&
         name != kNoAdapterName;
}

AdapterChoice read_adapter(const Reader& reader, const ConfigEntry& entry) {
  const std::string name = "adapters." + entry.key;
  const auto refuse = [&](const Where& where, std::string_view what) {
    Reader::refuse(where, fmt::format("{}: {}", name, what), "");
  };
  if (!is_adapter_name(entry.key))
    refuse(entry.where,
           "expected a name of letters, digits, _, . and -, at most 64 bytes, other than none");
  AdapterChoice choice{entry.key, {}};
  const KeyInfo path_key{name, KeyType::path, "", ""};
  if (entry.value.kind != ValueKind::map) {
    choice.path = reader.path(entry.value, path_key);
    return choice;
  }
  for (const ConfigEntry& option : entry.value.entries) {
    if (option.key == "path") {
      choice.path = reader.path(option.value, path_key);
    } else if (option.key == "base") {
      choice.base = reader.path(option.value, path_key);
    } else if (option.key == "scale") {
      const std::optional<double> scale = as_number(option.value);
      if (!scale || *scale == 0)
        refuse(option.value.where,
               "scale: " + mismatch(option.value, "a finite number other than 0"));
      choice.scale = *scale;
    } else {
      refuse(option.where, fmt::format("found the unknown key {}, expected path, scale or base",
                                       printable(option.key)));
    }
  }
  if (choice.path.empty()) refuse(entry.value.where, "path is missing, expected a folder");
  return choice;
}

void read_adapters(const Reader& reader, Config& config) {
  if (const ConfigValue* map = reader.find("adapters")) {
    if (map->kind != ValueKind::map) Reader::refuse_type(*map, key_info("adapters"));
    for (const ConfigEntry& entry : map->entries)
      config.adapters.push_back(read_adapter(reader, entry));
  }
  reader.text("adapter", config.adapter);
  reader.integer("adapter_slots", config.adapter_slots);
  std::string known(kNoAdapterName);
  for (const AdapterChoice& adapter : config.adapters) {
    if (adapter.name == config.adapter) return;
    known += ", " + adapter.name;
  }
  if (config.adapter != kNoAdapterName)
    Reader::refuse(
        reader.find("adapter")->where,
        fmt::format("adapter: found {}, expected one of {}", printable(config.adapter), known),
        "Name it under adapters, as {name: folder}");
}

void read_prompt(const Reader& reader, PromptConfig& prompt) {
  if (const ConfigValue* format = reader.find("prompt.format"))
    prompt.format = read_link(*format, "prompt.format");
  reader.text("prompt.system", prompt.system);
  reader.choice("prompt.bos", prompt.bos);
  reader.choice("prompt.truncate", prompt.truncate);
}

void read_generation(const Reader& reader, GenerationConfig& generation) {
  reader.integer("generation.max_new_tokens", generation.max_new_tokens);
  reader.seed("generation.seed", generation.seed);
  generation.stop = reader.texts("generation.stop");
  const auto bad = [](const std::string& stop) {
    return stop.empty() || stop.size() > kMaxStopBytes;
  };
  if (generation.stop.size() > kMaxStops || std::ranges::any_of(generation.stop, bad))
    Reader::refuse(reader.find("generation.stop")->where,
                   fmt::format("generation.stop: expected at most {} texts of 1 to {} bytes",
                               kMaxStops, kMaxStopBytes),
                   "");
}

void read_presets(const Reader& reader, Trust trust, std::vector<SamplingPreset>& presets) {
  const ConfigValue* list = reader.find("serve.presets");
  if (!list) return;
  const KeyInfo& key = key_info("serve.presets");
  if (list->kind != ValueKind::list) Reader::refuse_type(*list, key);
  for (const ConfigValue& item : list->items) {
    const std::filesystem::path file = reader.path(item, key);
    const std::string name = file.stem().string();
    const ConfigValue tree = read_with_bases(read_config_file(file, trust), {file, {}, trust});
    const ConfigValue* sampling = tree.find("sampling");
    const auto refuse = [&](std::string_view what) {
      Reader::refuse(item.where,
                     fmt::format("serve.presets: {} {}", printable(file.string()), what), "");
    };
    if (!sampling) refuse("has no sampling, expected a list of samplers");
    if (std::ranges::find(presets, name, &SamplingPreset::name) != presets.end())
      refuse("has the name of another preset");
    presets.push_back({name, file, read_chain(*sampling, "sampling")});
  }
}

// FIELD=MIN..MAX
void read_bounds(const Reader& reader, std::vector<SamplingBound>& bounds) {
  const ConfigValue* list = reader.find("serve.sampling.bounds");
  const std::vector<std::string> texts = reader.texts("serve.sampling.bounds");
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string_view text = texts[i];
    const size_t equals = std::min(text.find('='), text.size());
    const size_t dots = std::min(text.find("..", equals), text.size());
    const auto number = [&](size_t first, size_t end, double& out) {
      const char* stop = text.data() + end;
      return first < end && std::from_chars(text.data() + first, stop, out) ==
                                std::from_chars_result{stop, std::errc{}};
    };
    SamplingBound bound{.field = std::string(text.substr(0, equals)), .min = 0, .max = 0};
    if (equals == 0 || !number(equals + 1, dots, bound.min) ||
        !number(dots + 2, text.size(), bound.max) || bound.min > bound.max)
      Reader::refuse(list->items[i].where,
                     fmt::format("serve.sampling.bounds: found {}, expected FIELD=MIN..MAX, such "
                                 "as temperature=0..1.5",
                                 printable(texts[i])),
                     "");
    bounds.push_back(std::move(bound));
  }
}

void read_serve(const Reader& reader, Trust trust, ServeConfig& serve) {
  reader.text("serve.listen", serve.listen);
  if (const ConfigValue* file = reader.find("serve.keys.file"))
    serve.keys_file = reader.path(*file, key_info("serve.keys.file"));
  reader.boolean("serve.anonymous", serve.anonymous);
  serve.hosts = reader.texts("serve.hosts");
  serve.cors_origins = reader.texts("serve.cors.origins");
  reader.boolean("serve.page", serve.page);
  reader.text("serve.model_name", serve.model_name);
  serve.aliases = reader.texts("serve.aliases");
  reader.boolean("serve.any_model", serve.any_model);
  reader.boolean("serve.bare_paths", serve.bare_paths);
  reader.boolean("serve.strict", serve.strict);
  serve.tolerate = reader.texts("serve.tolerate");
  serve.locked_sampling = reader.texts("serve.sampling.lock");
  read_bounds(reader, serve.sampling_bounds);
  read_presets(reader, trust, serve.presets);
  reader.boolean("serve.deterministic", serve.deterministic);
  reader.choice("serve.chat", serve.turns);
  reader.choice("serve.truncate", serve.truncate);
  reader.integer("serve.max_sequences", serve.max_sequences);
  reader.integer("serve.cache_tokens", serve.cache_tokens);
  reader.integer("serve.prefill_share", serve.prefill_share);
  reader.choice("serve.prefix_cache", serve.prefix_cache);
  reader.integer("serve.per_key.running", serve.per_key.running);
  reader.integer("serve.per_key.queued", serve.per_key.queued);
  reader.integer("serve.per_key.tokens_per_minute", serve.per_key.tokens_per_minute);
  reader.integer("serve.queue.requests", serve.queue_requests);
  reader.integer("serve.queue.prompt_tokens", serve.queue_prompt_tokens);
  reader.integer("serve.queue.seconds", serve.queue_seconds);
  reader.integer("serve.max_request_seconds", serve.max_request_seconds);
  reader.integer("serve.keep_alive_seconds", serve.keep_alive_seconds);
  if (const ConfigValue* folder = reader.find("serve.log.prompts"))
    serve.prompt_log = reader.path(*folder, key_info("serve.log.prompts"));
  reader.integer("serve.drain.delay", serve.drain_delay);
  reader.integer("serve.drain.seconds", serve.drain_seconds);
}

void read_plugins(const Reader& reader, std::vector<std::filesystem::path>& paths) {
  const ConfigValue* list = reader.find("plugins.paths");
  if (!list) return;
  const KeyInfo& key = key_info("plugins.paths");
  if (list->kind != ValueKind::list) Reader::refuse_type(*list, key);
  for (const ConfigValue& item : list->items) paths.push_back(reader.path(item, key));
}

}  // namespace

Config parse_config(std::string_view text, const ConfigSource& source) {
  Config config{.file = source.file};
  config.tree = read_with_bases(text, source);
  apply_overrides(config.tree, source.overrides);
  const Reader reader(config.tree, source.file);
  read_model(reader, config);
  read_backend(reader, config.backend);
  reader.integer("context.length", config.context.length);
  reader.choice("context.kv_cache", config.context.kv_cache);
  uint32_t page_size = 1;
  reader.choice("context.page_tokens", page_size);
  config.context.page_tokens = 32u << page_size;
  read_rope(reader, config.rope);
  read_adapters(reader, config);
  read_prompt(reader, config.prompt);
  if (const ConfigValue* sampling = reader.find("sampling"))
    config.sampling = read_chain(*sampling, "sampling");
  read_generation(reader, config.generation);
  reader.choice("tokenizer.source", config.tokenizer.source);
  reader.boolean("tokenizer.legacy", config.tokenizer.legacy);
  read_serve(reader, source.trust, config.serve);
  read_plugins(reader, config.plugin_paths);
  return config;
}

Config load_config(const ConfigSource& source) {
  return parse_config(read_config_file(source.file, source.trust), source);
}

}  // namespace ropewalk
