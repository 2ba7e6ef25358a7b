#include "core/serve/request/chain_edit.h"

#include <algorithm>
#include <utility>

namespace ropewalk::serve {
namespace {

using LinkRole = LinkInfo::Role;

const LinkInfo* find_info(std::string_view name) {
  const auto& links = known_links();
  const auto found = std::ranges::find(links, name, &LinkInfo::name);
  return found == links.end() ? nullptr : &*found;
}

// Samplers of the user's own stand where they are and are taken for shaping ones.
size_t rank(std::string_view name) {
  const auto& links = known_links();
  const auto found = std::ranges::find(links, name, &LinkInfo::name);
  return static_cast<size_t>(found - links.begin());
}

LinkRole role_of(std::string_view name) {
  const LinkInfo* info = find_info(name);
  return info ? info->role : LinkRole::shapes;
}

// `- top-p: 0.9` as `- top-p: {p: 0.9}`.
void name_lone_value(PluginChoice& link) {
  if (!link.main) return;
  const LinkInfo* info = find_info(link.name);
  if (!info) return;
  link.options.insert(link.options.begin(),
                      {std::string(info->first_option), link.main->where, *link.main});
  link.main.reset();
}

}  // namespace

const std::vector<LinkInfo>& known_links() {
  static const std::vector<LinkInfo> kLinks = {
      {"logit-bias", "ids", LinkRole::keeps},
      {"ban-tokens", "texts", LinkRole::keeps},
      {"min-length", "tokens", LinkRole::keeps},
      {"repetition-penalty", "penalty", LinkRole::keeps},
      {"frequency-presence", "frequency", LinkRole::keeps},
      {"dry", "multiplier", LinkRole::keeps},
      {"top-n-sigma", "n", LinkRole::truncates},
      {"temperature", "temperature", LinkRole::shapes},
      {"dynamic-temperature", "low", LinkRole::shapes},
      {"quadratic", "factor", LinkRole::shapes},
      {"top-k", "k", LinkRole::truncates},
      {"top-p", "p", LinkRole::truncates},
      {"typical", "p", LinkRole::truncates},
      {"epsilon", "epsilon", LinkRole::truncates},
      {"eta", "epsilon", LinkRole::truncates},
      {"tail-free", "z", LinkRole::truncates},
      {"top-a", "a", LinkRole::truncates},
      {"min-p", "p", LinkRole::truncates},
      {"xtc", "probability", LinkRole::truncates},
      {"no-repeat-ngram", "size", LinkRole::keeps},
      {"mirostat", "version", LinkRole::chooses},
      {"greedy", "", LinkRole::chooses},
      {"draw", "", LinkRole::chooses},
  };
  return kLinks;
}

bool ChainEdit::has(std::string_view link) const {
  return std::ranges::find(chain_, link, &PluginChoice::name) != chain_.end();
}

PluginChoice& ChainEdit::link(std::string_view name) {
  const auto found = std::ranges::find(chain_, name, &PluginChoice::name);
  if (found != chain_.end()) return *found;
  const auto later = [&](const PluginChoice& other) {
    return find_info(other.name) && rank(other.name) > rank(name);
  };
  const auto place = std::ranges::find_if(chain_, later);
  return *chain_.insert(place, {.name = std::string(name), .key = "sampling"});
}

void ChainEdit::set(std::string_view name, std::string_view option, ConfigValue value) {
  PluginChoice& choice = link(name);
  name_lone_value(choice);
  std::erase_if(choice.options, [&](const ConfigEntry& entry) { return entry.key == option; });
  const Where where = value.where;
  choice.options.push_back({std::string(option), where, std::move(value)});
}

void ChainEdit::extend(std::string_view name, std::string_view option, const ConfigValue& list) {
  PluginChoice& choice = link(name);
  name_lone_value(choice);
  const auto found = std::ranges::find(choice.options, option, &ConfigEntry::key);
  if (found == choice.options.end()) {
    choice.options.push_back({std::string(option), list.where, list});
    return;
  }
  ConfigValue& there = found->value;
  if (there.kind != ValueKind::list) {
    ConfigValue alone = there;
    there = make_value(ValueKind::list, alone.where);
    there.items.push_back(std::move(alone));
  }
  there.items.insert(there.items.end(), list.items.begin(), list.items.end());
}

void ChainEdit::remove(std::string_view name) {
  std::erase_if(chain_, [&](const PluginChoice& choice) { return choice.name == name; });
}

void ChainEdit::remove(LinkRole role) {
  std::erase_if(chain_, [&](const PluginChoice& choice) { return role_of(choice.name) == role; });
}

void ChainEdit::make_greedy() {
  std::erase_if(chain_,
                [](const PluginChoice& choice) { return role_of(choice.name) != LinkRole::keeps; });
  link("greedy");
}

void ChainEdit::order(const std::vector<std::string>& names, bool only) {
  const auto place = [&](const PluginChoice& choice) {
    return std::ranges::find(names, choice.name) - names.begin();
  };
  const auto listed = [&](const PluginChoice& choice) {
    return std::ranges::find(names, choice.name) != names.end();
  };
  if (only)
    std::erase_if(chain_, [&](const PluginChoice& choice) {
      const LinkRole role = role_of(choice.name);
      return !listed(choice) && (role == LinkRole::shapes || role == LinkRole::truncates);
    });
  // What is not in the list keeps its place; the others share theirs in the order asked for.
  std::vector<PluginChoice> moved;
  for (const PluginChoice& choice : chain_)
    if (listed(choice)) moved.push_back(choice);
  std::ranges::stable_sort(moved, {}, place);
  auto next = moved.begin();
  for (PluginChoice& choice : chain_)
    if (listed(choice)) choice = std::move(*next++);
}

void ChainEdit::move_to_end(std::string_view name) {
  const auto found = std::ranges::find(chain_, name, &PluginChoice::name);
  if (found == chain_.end()) return;
  const auto end = std::ranges::find_if(
      chain_, [](const PluginChoice& choice) { return role_of(choice.name) == LinkRole::chooses; });
  if (end > found) std::rotate(found, found + 1, end);
}

}  // namespace ropewalk::serve
