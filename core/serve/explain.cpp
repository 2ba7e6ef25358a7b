#include "core/serve/explain.h"

#include <algorithm>

#include "core/json/json.h"
#include "core/modules/options.h"
#include "core/serve/request/chain_edit.h"

namespace ropewalk::serve {
namespace {

// Who set an option: the request's field, the configuration's line, or nobody.
std::string origin(const PluginChoice& choice, const std::string& option, bool is_first) {
  if (is_first && choice.main) return choice.main->where.text();
  const auto set = std::ranges::find(choice.options, option, &ConfigEntry::key);
  return set == choice.options.end() ? "default" : set->value.where.text();
}

std::string with_commas(std::string value) {
  std::ranges::replace(value, abi::kItemSeparator, ',');
  return value;
}

Json explain_link(const PluginChoice& choice, const ModuleDescription& description) {
  Json options = Json::array();
  for (const auto& [name, value] : resolve_options(description, choice).values) {
    const bool is_first = description.options.front().name == name;
    options.push_back({{"option", name},
                       {"value", with_commas(value)},
                       {"from", origin(choice, name, is_first)}});
  }
  return {{"sampler", choice.name}, {"options", std::move(options)}};
}

}  // namespace

SamplerManual read_manual(Registry& registry, const Config& config) {
  SamplerManual manual;
  for (const LinkInfo& link : known_links())
    if (const Library* library = registry.find_if_present(abi::ModuleKind::sampler, link.name))
      manual.emplace(link.name, library->description());
  for (const PluginChoice& choice : config.sampling)
    if (!manual.contains(choice.name))
      manual.emplace(choice.name,
                     registry.find_choice(abi::ModuleKind::sampler, choice).description());
  return manual;
}

Json explain(const Ask& ask, const ServedModel& model, const SamplerManual& manual) {
  Json chain = Json::array();
  for (const PluginChoice& choice : ask.request.sampling)
    if (const auto found = manual.find(choice.name); found != manual.end())
      chain.push_back(explain_link(choice, found->second));
  Json prompts = Json::array(), lengths = Json::array(), seeds = Json::array();
  for (const Prompt& prompt : ask.prompts) {
    prompts.push_back(prompt.ids.size());
    lengths.push_back(prompt.max_new_tokens);
  }
  for (uint32_t choice = 0; choice < ask.best_of; ++choice)
    seeds.push_back(ask.request.seed + choice);
  return {{"model", ask.model},
          {"batch_invariant", model.batch_invariant},
          {"greedy", ask.request.sampling.empty()},
          {"chain", std::move(chain)},
          {"stop", ask.request.stops},
          {"stop_token_ids", ask.request.stop_ids},
          {"seeds", std::move(seeds)},
          {"prompt_tokens", std::move(prompts)},
          {"max_tokens", std::move(lengths)},
          {"ignored", ask.told.ignored},
          {"clipped", ask.told.clipped},
          {"warnings", ask.told.warnings},
          {"dropped_messages", ask.told.dropped_messages}};
}

}  // namespace ropewalk::serve
