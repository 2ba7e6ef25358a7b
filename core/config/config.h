// config.h — the configuration file as plain structs, every default filled in (docs/cli.md).
//
// load_config() is the only way in; it checks everything that needs neither the model nor the
// plugins. Only a plugin knows its options: they stay ConfigValues until core/modules/options.h
// checks them. Values own what they hold; no threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/trust.h"
#include "core/config/value.h"

namespace ropewalk {

// A plugin named in the configuration, with its options as written.
struct PluginChoice {
  std::string name;
  std::string key;                       // where in the file's structure: "sampling[1]", "rope"
  Where where = {};                      // of the name
  std::optional<ConfigValue> main = {};  // a lone value after the name sets the first option
  std::vector<ConfigEntry> options = {};
};

struct BackendConfig {
  PluginChoice plugin = {.name = "auto", .key = "backend"};
  std::optional<uint32_t> device = {};  // index among the backend's devices
};

enum class KvCacheType { f16, int8, f32 };

struct ContextConfig {
  std::optional<uint32_t> length = {};  // tokens; absent: what the model was trained for
  KvCacheType kv_cache = KvCacheType::f16;
  uint32_t page_tokens = 64;  // 32, 64, 128 or 256
};

enum class Truncate { drop_oldest, refuse };

// Whether a prompt begins with the beginning-of-sequence token; automatic: as the tokenizer's files
// say (add_bos_token).
enum class BosRule { automatic, always, never };

struct PromptConfig {
  // absent: what the model's chat template says, else raw (core/engine/format_choice.h)
  std::optional<PluginChoice> format = {};
  std::optional<std::string> system = {};  // absent: the format's own
  BosRule bos = BosRule::automatic;
  Truncate truncate = Truncate::drop_oldest;
};

struct GenerationConfig {
  uint32_t max_new_tokens = 512;
  uint64_t seed = 0;
  std::vector<std::string> stop = {};  // beside the format's own
};

enum class TokenizerFile { automatic, json, sentencepiece };

struct TokenizerSettings {
  TokenizerFile source = TokenizerFile::automatic;
  std::optional<bool> legacy = {};  // absent: what tokenizer_config.json says
};

enum class ChatTurns { join, strict };
enum class PrefixCacheUse { per_key, shared, off };

// Samplers that a request may ask for by a name, which is the file's without its ending.
struct SamplingPreset {
  std::string name;
  std::filesystem::path file;  // absolute
  std::vector<PluginChoice> sampling;
};

// The values that a request may give a sampling field.
struct SamplingBound {
  std::string field;
  double min, max;
};

// What the requests of one API key may have at a time; absent: no limit but the server's.
struct KeyQuota {
  std::optional<uint32_t> running = {};            // replies
  std::optional<uint32_t> queued = {};             // replies that wait beside them
  std::optional<uint32_t> tokens_per_minute = {};  // of prompts and replies
};

// What `ropewalk serve` offers, to whom, and how much of it at a time.
struct ServeConfig {
  std::string listen = "127.0.0.1:8000";       // ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH
  std::filesystem::path keys_file = {};        // absolute; empty: none
  bool anonymous = false;                      // without keys beyond the loopback
  std::vector<std::string> hosts = {};         // names of this server beside the local ones
  std::vector<std::string> cors_origins = {};  // of pages on other sites that may ask
  std::optional<bool> page = {};               // the chat page at /; absent: on the loopback
  std::optional<std::string> model_name = {};
  std::vector<std::string> aliases = {};   // other names that a request may use for the model
  bool any_model = false;                  // a request may name any
  bool bare_paths = false;                 // /completions beside /v1/completions
  bool strict = false;                     // unknown fields are refused
  std::vector<std::string> tolerate = {};  // unsupported fields that are told instead of refused
  std::vector<std::string> locked_sampling = {};  // fields that keep the configuration's value
  std::vector<SamplingBound> sampling_bounds = {};
  std::vector<SamplingPreset> presets = {};
  bool deterministic = false;  // refuse a device whose rows depend on their company
  ChatTurns turns = ChatTurns::join;
  Truncate truncate = Truncate::refuse;
  std::optional<uint32_t> max_sequences = {};  // that run at a time
  std::optional<uint32_t> cache_tokens = {};   // that they share; absent: as memory allows
  uint32_t prefill_share = 50;  // percent of a step's rows that prompts take beside replies
  PrefixCacheUse prefix_cache = PrefixCacheUse::per_key;
  KeyQuota per_key = {};
  uint32_t queue_requests = 64;
  std::optional<uint32_t> queue_prompt_tokens = {};  // absent: eight times the context
  uint32_t queue_seconds = 60;
  uint32_t max_request_seconds = 3600;
  uint32_t keep_alive_seconds = 10;       // of silence before a stream gets a comment
  std::filesystem::path prompt_log = {};  // absolute, a folder; empty: prompts are not written
  uint32_t drain_delay = 5;               // seconds
  uint32_t drain_seconds = 60;
};

// A LoRA adapter that a sequence may run with.
struct AdapterChoice {
  std::string name;            // of the user's
  std::filesystem::path path;  // absolute; a PEFT folder
  double scale = 1;            // of its change
  // Absolute; the unquantised model, for the lengths of rows that a DoRA needs. Empty: those of the
  // model itself.
  std::filesystem::path base = {};
};
inline constexpr std::string_view kNoAdapterName = "none";

struct Config {
  std::filesystem::path file;
  std::filesystem::path model = {};  // absolute; may be missing
  std::string hub_name = {};         // what `model` says where it is no folder but ORG/NAME
  BackendConfig backend = {};
  ContextConfig context = {};
  std::optional<PluginChoice> rope = {};  // absent: what config.json says
  std::vector<AdapterChoice> adapters = {};
  std::string adapter = std::string(kNoAdapterName);  // where nobody asks for another
  std::optional<uint32_t> adapter_slots = {};         // on the device at a time
  PromptConfig prompt = {};
  std::vector<PluginChoice> sampling = {};  // empty: greedy
  GenerationConfig generation = {};
  TokenizerSettings tokenizer = {};
  ServeConfig serve = {};
  std::vector<std::filesystem::path> plugin_paths = {};  // absolute; files and folders

  // The same as one tree, after `extends` and --set, for dump_config().
  ConfigValue tree = {};
};

struct ConfigSource {
  std::filesystem::path file;
  std::vector<std::string> overrides = {};  // "context.length=4096", in the order given
  Trust trust = Trust::warn;                // towards a file that anyone may write
};

// Throws Error(usage) with FILE:LINE:COL and the key's path: not a regular file, larger than 1 MiB,
// not UTF-8, not one YAML document, duplicate or unknown key, wrong type, out of range.
//
// Relative paths are relative to the file in which they are written, those of --set to `file`.
Config load_config(const ConfigSource& source);

// The same for text in memory that stands for `source.file`, which need not exist.
Config parse_config(std::string_view text, const ConfigSource& source);

// The effective configuration as YAML that load_config() reads back to the same, each value with a
// comment that names its origin: FILE:LINE, --set, default.
std::string dump_config(const Config& config);

// Every key with its help, allowed values and default, as a YAML skeleton. Keys without a default
// of their own are commented out. configs/reference.yaml is written from it.
std::string describe_keys();

}  // namespace ropewalk
