#include "core/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/config/model_path.h"
#include "core/engine/format_choice.h"
#include "core/engine/greedy_bans.h"
#include "core/engine/run_adapters.h"
#include "core/model/families.h"
#include "core/model/unread.h"
#include "core/text/prompt.h"

namespace ropewalk {
namespace {

class StringSink final : public abi::TextSink {
 public:
  void text(std::string_view utf8) noexcept override { strings.emplace_back(utf8); }
  std::vector<std::string> strings;
};

}  // namespace

Registry make_registry(const Config& config) {
  RegistrySettings settings;
  settings.install_folder = install_folder();
  settings.paths = config.plugin_paths;
  return Registry(std::move(settings));
}

Tokenizer open_tokenizer(const Config& config) {
  require_model(config.model, config.hub_name);
  check_family(config.model,
               config_families());  // before its tokenizer is found to be another kind
  TokenizerOptions options{.legacy = config.tokenizer.legacy};
  switch (config.tokenizer.source) {
    case TokenizerFile::automatic:
      options.source = TokenizerSource::automatic;
      break;
    case TokenizerFile::json:
      options.source = TokenizerSource::json;
      break;
    case TokenizerFile::sentencepiece:
      options.source = TokenizerSource::sentencepiece;
      break;
  }
  Tokenizer tokenizer = Tokenizer::open(config.model, options);
  if (config.prompt.bos != BosRule::automatic)
    tokenizer.set_add_bos(config.prompt.bos == BosRule::always);
  return tokenizer;
}

namespace {

// Tokens that the format emits are the format's alone, even where the model's files do not call
// them special.
void reserve_emitted(const abi::PromptFormat& format, Tokenizer& tokenizer) {
  const std::vector<ChatMessage> talk = {{abi::Role::system, "s"},
                                         {abi::Role::user, "u"},
                                         {abi::Role::assistant, "a"},
                                         {abi::Role::user, "u"}};
  for (const size_t first : {0, 1}) {  // some formats take no system message
    PieceCollector pieces;
    std::vector<abi::Message> messages;
    for (const ChatMessage& message : std::span(talk).subspan(first))
      messages.push_back({.role = message.role, .content = message.content});
    if (!format.render(messages, pieces).ok()) continue;
    for (const PromptPiece& piece : pieces.take())
      if (piece.kind == PieceKind::added) tokenizer.reserve(piece.text);
  }
}

}  // namespace

TextSide::TextSide(Registry& registry, const Config& config)
    : tokenizer_(open_tokenizer(config)), choice_(choose_format(config)) {
  const Library& library = registry.find_choice(abi::ModuleKind::prompt_format, choice_.plugin);
  format_ = library.create<abi::PromptFormat>(choice_.plugin, nullptr);

  StringSink system;
  format_->default_system(system);
  for (const std::string& part : system.strings) system_ += part;
  if (config.prompt.system) system_ = *config.prompt.system;

  StringSink stops;
  format_->stops(stops);
  format_stops_ = std::move(stops.strings);
  reserve_emitted(*format_, tokenizer_);
}

std::vector<std::string> TextSide::stops(std::span<const std::string> configured) const {
  std::vector<std::string> stops = format_stops_;
  stops.insert(stops.end(), configured.begin(), configured.end());
  return stops;
}

// The model's facts that samplers may ask for.
class Engine::Host final : public abi::Host {
 public:
  explicit Host(const Engine& engine) : engine_(engine) {}

  uint32_t vocab_size() const noexcept override { return engine_.sampled_vocab(); }
  std::span<const int32_t> end_ids() const noexcept override { return engine_.end_ids(); }
  uint32_t tokenize(std::string_view text, std::span<int32_t> ids) const noexcept override {
    if (!engine_.has_text()) return 0;
    try {
      const auto found = engine_.tokenizer().encode_text(text, SpecialTokens::as_text);
      std::copy_n(found.begin(), std::min(found.size(), ids.size()), ids.begin());
      return static_cast<uint32_t>(found.size());
    } catch (...) {
      return 0;  // text that cannot be tokenised has no ids
    }
  }

 private:
  const Engine& engine_;
};

namespace {

std::unique_ptr<TextSide> open_text(Registry& registry, const Config& config, TextNeed need) {
  try {
    return std::make_unique<TextSide>(registry, config);
  } catch (const Error& error) {
    if (need == TextNeed::required || error.code() != ExitCode::model) throw;
    std::string said = error.what();
    if (said.ends_with('.')) said.pop_back();
    note(fmt::format("{}; the reply is ids without text", said));
    return nullptr;
  }
}

}  // namespace

Engine::Engine(const RuntimeSettings& settings, TextNeed text)
    : config_(settings.config),
      registry_(make_registry(config_)),
      checkpoint_(Checkpoint::open(config_.model, config_families())),
      text_(open_text(registry_, config_, text)) {
  const ModelConfig& model = checkpoint_->config();
  ids_ = text_ ? match_ids(tokenizer(), model) : all_ids(model);
  if (text_) add_stop_tokens();
  if (text_ && text == TextNeed::required) tell_of_format(text_->format_choice());
  // Reports a wrong name before the model is loaded, not after.
  for (const PluginChoice& choice : config_.sampling) {
    registry_.find_choice(abi::ModuleKind::sampler, choice);
  }
  const CheckpointWeights weights(*checkpoint_);
  RuntimeSettings telling = settings;
  telling.adapters = adapters_of(config_, *checkpoint_);
  telling.graph_built = [&](const ModelGraph& graph) { warn_of_unread(*checkpoint_, graph); };
  runtime_ = std::make_unique<Runtime>(registry_, weights, telling);
  checkpoint_->check_unchanged();
  host_ = std::make_unique<Host>(*this);
}

Engine::~Engine() = default;

// A stop of the format that is a token ends a reply by its id.
void Engine::add_stop_tokens() {
  std::vector<int32_t>& ids = ids_.end_ids;
  for (const std::string& stop : text_->stops({})) {
    const AddedToken* token = tokenizer().added().find(stop);
    if (token && std::find(ids.begin(), ids.end(), token->id) == ids.end())
      ids.push_back(token->id);
  }
}

Chain Engine::make_chain(std::span<const PluginChoice> samplers, uint64_t seed) {
  std::vector<ChainLink> links;
  for (const PluginChoice& choice : samplers) {
    const Library& library = [&]() -> const Library& {
      const std::lock_guard lock(registry_mutex_);
      return registry_.find_choice(abi::ModuleKind::sampler, choice);
    }();
    links.push_back({choice.name, library.create<abi::Sampler>(choice, host_.get())});
  }
  Chain chain(std::move(links), seed);
  if (std::optional<std::vector<int32_t>> bans = greedy_bans(samplers, end_ids()))
    chain.takes_largest_but(std::move(*bans));
  return chain;
}

}  // namespace ropewalk
