#include "core/config/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/error.h"
#include "core/config/foreign_names.h"
#include "core/config/nearest.h"
#include "core/config/scalars.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxTokens = 1 << 24;

constexpr std::array kKeys = {
    KeyInfo{"extends", KeyType::path, "<nothing>",
            "another file as the base, relative to this one; this file overrides it"},
    KeyInfo{"model", KeyType::path, "<must be given>",
            "folder of a Hugging Face model, relative to this file"},
    KeyInfo{
        .path = "backend",
        .type = KeyType::block,
        .default_text = "auto",
        .help =
            "auto, or a backend by name, see `ropewalk devices`; auto takes the first that works",
        .selector = "name"},
    KeyInfo{.path = "backend.device",
            .type = KeyType::integer,
            .default_text = "<the backend's choice>",
            .help = "index of the device, as `ropewalk devices` counts them",
            .minimum = 0,
            .maximum = 1023},
    KeyInfo{"context", KeyType::map, "", "how much the model sees at once"},
    KeyInfo{.path = "context.length",
            .type = KeyType::integer,
            .default_text = "<what the model was trained for>",
            .help = "tokens of prompt and reply together",
            .minimum = 1,
            .maximum = kMaxTokens},
    KeyInfo{.path = "context.kv_cache",
            .type = KeyType::choice,
            .default_text = "f16",
            .help = "type of the cached keys and values",
            .choices = "f16 int8 f32"},
    KeyInfo{.path = "context.page_tokens",
            .type = KeyType::choice,
            .default_text = "64",
            .help = "tokens of a page of the cache; prompts that begin alike share whole pages",
            .choices = "32 64 128 256"},
    KeyInfo{.path = "rope",
            .type = KeyType::block,
            .default_text = "from-model",
            .help = "scaling policy of the rotary embedding and its options; from-model is what "
                    "config.json says",
            .selector = "policy"},
    KeyInfo{"adapters", KeyType::named, "{}",
            "LoRA adapters: names of yours for PEFT's folders, or {path: FOLDER, scale: 1.0, base: "
            "MODEL}"},
    KeyInfo{"adapter", KeyType::text, "none",
            "which of them runs where nobody asks for another; none: the model alone"},
    KeyInfo{.path = "adapter_slots",
            .type = KeyType::integer,
            .default_text = "<all of them, at most 8>",
            .help = "adapters in the device's memory at a time; the others are read when needed",
            .minimum = 1,
            .maximum = 512},
    KeyInfo{"prompt", KeyType::map, "", "how a conversation becomes text"},
    KeyInfo{"prompt.format", KeyType::plugin, "<by the model's chat template, else raw>",
            "the wording the model was trained on, see `ropewalk plugins prompt-formats`"},
    KeyInfo{"prompt.system", KeyType::text, "<the format's own>", "the system message"},
    KeyInfo{.path = "prompt.bos",
            .type = KeyType::choice,
            .default_text = "auto",
            .help = "whether prompts begin with the token that begins a text; auto: as the "
                    "tokenizer's files say",
            .choices = "auto always never"},
    KeyInfo{.path = "prompt.truncate",
            .type = KeyType::choice,
            .default_text = "drop-oldest",
            .help = "when a conversation outgrows the context: forget its oldest turns, or refuse",
            .choices = "drop-oldest refuse"},
    KeyInfo{"sampling", KeyType::chain, "[]",
            "samplers from top to bottom; none is greedy decoding"},
    KeyInfo{"generation", KeyType::map, "", "how long a reply may be and how it ends"},
    KeyInfo{.path = "generation.max_new_tokens",
            .type = KeyType::integer,
            .default_text = "512",
            .help = "tokens of one reply",
            .minimum = 1,
            .maximum = kMaxTokens},
    KeyInfo{.path = "generation.seed",
            .type = KeyType::integer,
            .default_text = "0",
            .help = "seed of the random numbers; the same seed gives the same reply",
            .minimum = 0,
            .maximum = std::numeric_limits<uint64_t>::max()},
    KeyInfo{"generation.stop", KeyType::texts, "[]",
            "texts that end a reply, beside the format's own"},
    KeyInfo{"tokenizer", KeyType::map, "", "how text becomes tokens"},
    KeyInfo{.path = "tokenizer.source",
            .type = KeyType::choice,
            .default_text = "auto",
            .help =
                "tokenizer.json or sentencepiece's tokenizer.model; auto takes the latter where "
                "both are there",
            .choices = "auto json sentencepiece"},
    KeyInfo{"tokenizer.legacy", KeyType::boolean, "<what tokenizer_config.json says>",
            "tokenizer.model: transformers' older treatment of text after an added token"},
    KeyInfo{"serve", KeyType::map, "", "what `ropewalk serve` offers, and to whom"},
    KeyInfo{"serve.listen", KeyType::text, "\"127.0.0.1:8000\"",
            "numeric ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH"},
    KeyInfo{"serve.keys", KeyType::map, "", "who may ask"},
    KeyInfo{"serve.keys.file", KeyType::path, "<nothing>",
            "API keys, a name:key in each line, relative to this file; beside ROPEWALK_API_KEYS"},
    KeyInfo{"serve.anonymous", KeyType::boolean, "false",
            "serve without keys beyond the loopback too"},
    KeyInfo{"serve.hosts", KeyType::texts, "[]",
            "names of this server that a Host header may have, beside the local ones"},
    KeyInfo{"serve.cors", KeyType::map, "", "pages of other sites, which browsers keep out"},
    KeyInfo{"serve.cors.origins", KeyType::texts, "[]",
            "their origins, such as https://chat.example:8443, that may ask all the same"},
    KeyInfo{"serve.page", KeyType::boolean, "<true on the loopback>", "a page to chat with at /"},
    KeyInfo{"serve.model_name", KeyType::text, "<the model folder's name>",
            "what clients call the model"},
    KeyInfo{"serve.aliases", KeyType::texts, "[]", "other names that a request may use"},
    KeyInfo{"serve.any_model", KeyType::boolean, "false", "a request may name any model"},
    KeyInfo{"serve.bare_paths", KeyType::boolean, "false",
            "/completions and /chat/completions beside those under /v1"},
    KeyInfo{"serve.strict", KeyType::boolean, "false",
            "refuse unknown fields of a request, which are otherwise told as ignored"},
    KeyInfo{"serve.tolerate", KeyType::texts, "[]",
            "unsupported fields, such as tools, that are told as ignored instead of refused"},
    KeyInfo{"serve.sampling", KeyType::map, "", "what requests may change of `sampling`"},
    KeyInfo{"serve.sampling.lock", KeyType::texts, "[]",
            "fields of requests, such as temperature, that have no effect"},
    KeyInfo{"serve.sampling.bounds", KeyType::texts, "[]",
            "values that requests may give fields, each FIELD=MIN..MAX; others are refused"},
    KeyInfo{"serve.presets", KeyType::paths, "[]",
            "files whose `sampling` a request may take by the file's name, relative to this file"},
    KeyInfo{"serve.deterministic", KeyType::boolean, "false",
            "refuse a device on which a reply could depend on who else is served"},
    KeyInfo{.path = "serve.chat",
            .type = KeyType::choice,
            .default_text = "join",
            .help = "messages that do not alternate: join neighbours of one role, or refuse",
            .choices = "join strict"},
    KeyInfo{.path = "serve.truncate",
            .type = KeyType::choice,
            .default_text = "refuse",
            .help = "when a conversation outgrows the context: forget its oldest turns, or refuse",
            .choices = "drop-oldest refuse"},
    KeyInfo{.path = "serve.max_sequences",
            .type = KeyType::integer,
            .default_text = "<32 on a GPU, else 8>",
            .help = "replies that run at a time",
            .minimum = 1,
            .maximum = 512},
    KeyInfo{.path = "serve.cache_tokens",
            .type = KeyType::integer,
            .default_text = "<a full context for each of them, or what the free memory holds>",
            .help = "tokens of prompts and replies that the cache holds at a time",
            .minimum = 1,
            .maximum = 1 << 30},
    KeyInfo{.path = "serve.prefill_share",
            .type = KeyType::integer,
            .default_text = "50",
            .help = "percent of a step's rows that prompts take while replies are written",
            .minimum = 1,
            .maximum = 100},
    KeyInfo{.path = "serve.prefix_cache",
            .type = KeyType::choice,
            .default_text = "per-key",
            .help = "whose requests find each other's prompts in the cache",
            .choices = "per-key shared off"},
    KeyInfo{"serve.per_key", KeyType::map, "",
            "what one API key may have at a time; beyond it requests get a 429"},
    KeyInfo{.path = "serve.per_key.running",
            .type = KeyType::integer,
            .default_text = "<no limit>",
            .help = "replies that run at a time; further ones wait",
            .minimum = 1,
            .maximum = 512},
    KeyInfo{.path = "serve.per_key.queued",
            .type = KeyType::integer,
            .default_text = "<no limit>",
            .help = "replies that wait",
            .minimum = 0,
            .maximum = 65536},
    KeyInfo{.path = "serve.per_key.tokens_per_minute",
            .type = KeyType::integer,
            .default_text = "<no limit>",
            .help = "tokens of prompts and replies; what is not used is saved for one minute",
            .minimum = 1,
            .maximum = 1 << 30},
    KeyInfo{"serve.queue", KeyType::map, "", "what may wait; beyond it requests get a 503"},
    KeyInfo{.path = "serve.queue.requests",
            .type = KeyType::integer,
            .default_text = "64",
            .help = "replies that wait, a request for n of them counts n",
            .minimum = 1,
            .maximum = 65536},
    KeyInfo{.path = "serve.queue.prompt_tokens",
            .type = KeyType::integer,
            .default_text = "<eight times the context>",
            .help = "tokens of the prompts that wait",
            .minimum = 1,
            .maximum = 1 << 30},
    KeyInfo{.path = "serve.queue.seconds",
            .type = KeyType::integer,
            .default_text = "60",
            .help = "seconds that a request waits at most",
            .minimum = 1,
            .maximum = 86400},
    KeyInfo{.path = "serve.max_request_seconds",
            .type = KeyType::integer,
            .default_text = "3600",
            .help = "seconds from a request to the end of its reply",
            .minimum = 1,
            .maximum = 86400},
    KeyInfo{.path = "serve.keep_alive_seconds",
            .type = KeyType::integer,
            .default_text = "10",
            .help = "seconds without a token before a stream gets a comment line, for proxies",
            .minimum = 1,
            .maximum = 3600},
    KeyInfo{"serve.log", KeyType::map, "", "what is written beside the access log"},
    KeyInfo{"serve.log.prompts", KeyType::path, "<nothing>",
            "folder of a file that gets all requests for replies, prompts included, relative to "
            "this file"},
    KeyInfo{"serve.drain", KeyType::map, "", "what SIGTERM does"},
    KeyInfo{.path = "serve.drain.delay",
            .type = KeyType::integer,
            .default_text = "5",
            .help = "seconds in which it is no longer ready and still serves",
            .minimum = 0,
            .maximum = 3600},
    KeyInfo{.path = "serve.drain.seconds",
            .type = KeyType::integer,
            .default_text = "60",
            .help = "seconds for the replies that run",
            .minimum = 0,
            .maximum = 86400},
    KeyInfo{"plugins", KeyType::map, "", "libraries of yours"},
    KeyInfo{"plugins.paths", KeyType::paths, "[]",
            "files and folders, relative to this file, searched beside the installed ones"},
};

std::string_view parent(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? "" : path.substr(0, dot);
}

std::string spaced_to_commas(std::string_view words) {
  std::string out;
  for (const char c : words) out += c == ' ' ? ", " : std::string(1, c);
  return out;
}

// The known key of `path` that `name` is another spelling of; empty: none.
std::string spelled(const std::string& name, const std::string& path) {
  if (path == "rope") return name == "type" || name == "rope_type" ? "policy" : "";
  const std::vector<std::string> known = keys_under(path);
  const auto found =
      std::ranges::find_if(known, [&](const std::string& key) { return same_name(key, name); });
  return found == known.end() || *found == name ? "" : *found;
}

void settle_spellings(ConfigValue& map, const std::string& path) {
  for (ConfigEntry& entry : map.entries)
    if (std::string key = spelled(entry.key, path); !key.empty() && !map.find(key))
      entry.key = std::move(key);
}

std::string meaning_of(const std::string& key, const std::string& path) {
  const std::string meant = key_meant_by(key);
  if (meant.empty()) return suggestion(key, keys_under(path));
  return fmt::format("It is {} here", meant);
}

// `prompt: vicuna-v1.1` was meant as its first key's value.
std::string advice_on_no_map(const ConfigValue& value, const std::string& path) {
  if (path.empty()) return "Write keys and values, one on a line: model: FOLDER";
  if (value.kind != ValueKind::scalar) return "Indent its keys below it, or remove it";
  const std::string first = keys_under(path).front();
  const KeyType type = key_info(path + "." + first).type;
  const bool list = type == KeyType::texts || type == KeyType::paths;
  const std::string text = printable(value.text);
  return fmt::format("Write {}: {{{}: {}}}", path, first, list ? "[" + text + "]" : text);
}

void check_map(ConfigValue& map, const std::string& path) {
  if (map.kind != ValueKind::map) {
    const std::string what =
        mismatch(map, fmt::format("a map of {}", fmt::join(keys_under(path), ", ")));
    throw Error(ExitCode::usage, map.where.text(),
                path.empty() ? what : map.where.said_of(path, what), advice_on_no_map(map, path));
  }
  settle_spellings(map, path);
  for (ConfigEntry& entry : map.entries) {
    const std::string key = path.empty() ? entry.key : path + "." + entry.key;
    const KeyInfo* info = find_key(key);
    if (!info)
      throw Error(ExitCode::usage, entry.where.text(),
                  fmt::format("found the unknown key {}", printable(key)),
                  meaning_of(entry.key, path));
    if (info->type == KeyType::map) check_map(entry.value, key);
    if (key == "rope") settle_spellings(entry.value, key);
  }
}

}  // namespace

std::span<const KeyInfo> config_keys() { return kKeys; }

const KeyInfo* find_key(std::string_view path) {
  const auto found =
      std::ranges::find_if(kKeys, [&](const KeyInfo& key) { return key.path == path; });
  return found == kKeys.end() ? nullptr : &*found;
}

const KeyInfo& key_info(std::string_view path) { return *find_key(path); }

std::vector<std::string> keys_under(std::string_view path) {
  std::vector<std::string> names;
  for (const KeyInfo& key : kKeys)
    if (parent(key.path) == path)
      names.emplace_back(path.empty() ? key.path : key.path.substr(path.size() + 1));
  return names;
}

std::string expectation(const KeyInfo& key) {
  switch (key.type) {
    case KeyType::map:
      return "a map";
    case KeyType::path:
      return "a path";
    case KeyType::paths:
      return "a list of paths";
    case KeyType::text:
      return "text, quoted where YAML reads it as another type";
    case KeyType::texts:
      return "a list of texts";
    case KeyType::integer:
      return fmt::format("an integer from {} to {}", key.minimum, key.maximum);
    case KeyType::boolean:
      return "true or false";
    case KeyType::choice:
      return fmt::format("one of {}", spaced_to_commas(key.choices));
    case KeyType::block:
      return fmt::format("a name, or a map with {}", key.selector);
    case KeyType::plugin:
      return "a name, or a map of one name to its options";
    case KeyType::chain:
      return "a list of samplers, or a map that changes those of the extended file";
    case KeyType::named:
      return "a map of names to folders";
  }
  return "";
}

void settle_keys(ConfigValue& tree) { check_map(tree, ""); }

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return x == y || ((x == '-' || x == '_') && (y == '-' || y == '_'));
  });
}

}  // namespace ropewalk
