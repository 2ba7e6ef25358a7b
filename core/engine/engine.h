// engine.h — a configuration, opened: the model on its device, its tokenizer and prompt format.
//
// Everything a command needs to turn messages into ids, ids into logits and ids into text. Not
// thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/abi/prompt_format.h"
#include "core/checkpoint/checkpoint.h"
#include "core/engine/format_choice.h"
#include "core/engine/model_ids.h"
#include "core/engine/runtime.h"
#include "core/sample/chain.h"
#include "core/text/tokenizer.h"

namespace ropewalk {

// The registry for a configuration: the install's folder and its plugins.paths.
Registry make_registry(const Config& config);

// The tokenizer that a configuration asks for. Throws Error (model).
Tokenizer open_tokenizer(const Config& config);

// Prompt format and tokenizer of a configuration: what `tokenize` and `render` need, without
// weights.
class TextSide {
 public:
  // Throws Error: model for a bad tokenizer, plugin and usage for the format.
  TextSide(Registry& registry, const Config& config);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const abi::PromptFormat& format() const { return *format_; }
  const FormatChoice& format_choice() const { return choice_; }

  // The configured system message, else the format's own; may be empty.
  const std::string& system() const { return system_; }
  // The format's stop strings, then the configured ones.
  std::vector<std::string> stops(std::span<const std::string> configured) const;

 private:
  Tokenizer tokenizer_;
  FormatChoice choice_;
  Owned<abi::PromptFormat> format_;
  std::string system_;
  std::vector<std::string> format_stops_;
};

enum class TextNeed {
  required,  // a tokenizer that is missing or bad is an Error
  optional,  // it is a note, and the engine turns ids into ids
};

class Engine {
 public:
  // Throws Error. `settings.config` is kept.
  Engine(const RuntimeSettings& settings, TextNeed text);
  ~Engine();

  const Config& config() const { return config_; }
  bool has_text() const { return text_ != nullptr; }
  // REQUIRES: has_text().
  const TextSide& text() const { return *text_; }
  const Tokenizer& tokenizer() const { return text_->tokenizer(); }
  Runtime& runtime() { return *runtime_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }

  // Ids that end a reply: the model's, the tokenizer's, and those of the format's stops that are
  // tokens.
  const std::vector<int32_t>& end_ids() const { return ids_.end_ids; }
  // Ids below this may be sampled, except those of banned_ids(): rows beyond the tokenizer's are
  // padding.
  uint32_t sampled_vocab() const { return ids_.sampled; }
  const std::vector<int32_t>& banned_ids() const { return ids_.banned; }

  // The samplers of one sequence, in order. Any thread may call it. Throws Error (plugin, usage)
  // where one cannot be made.
  Chain make_chain(std::span<const PluginChoice> samplers, uint64_t seed);

 private:
  class Host;

  void add_stop_tokens();

  Config config_;
  Registry registry_;
  std::mutex registry_mutex_;  // for make_chain(): the registry remembers what it has loaded
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<TextSide> text_;
  std::unique_ptr<Runtime> runtime_;
  ModelIds ids_;
  std::unique_ptr<Host> host_;
};

}  // namespace ropewalk
