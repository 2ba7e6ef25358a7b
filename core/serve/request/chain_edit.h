// chain_edit.h — a request's changes to the configured chain of samplers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.h"

namespace ropewalk::serve {

// The samplers that a request may name, in the order in which missing ones are put in: biases, bans
// and penalties, then the order of configs/presets/ooba.yaml, then what chooses.
struct LinkInfo {
  std::string_view name;
  std::string_view first_option;  // which a lone value sets
  enum class Role { keeps, shapes, truncates, chooses } role;
};
const std::vector<LinkInfo>& known_links();

class ChainEdit {
 public:
  explicit ChainEdit(std::vector<PluginChoice> chain) : chain_(std::move(chain)) {}

  bool has(std::string_view link) const;
  // The first link of this name, which is put in where it is missing.
  PluginChoice& link(std::string_view name);
  // Sets an option of that link.
  void set(std::string_view name, std::string_view option, ConfigValue value);
  // Adds to an option that is a list.
  void extend(std::string_view name, std::string_view option, const ConfigValue& list);
  void remove(std::string_view name);
  // Removes the links of a role.
  void remove(LinkInfo::Role role);
  // All but what bans, biases and penalises goes, the likeliest is taken.
  void make_greedy();
  // The links of `names` stand in this order. `only`: other links that shape or truncate go.
  void order(const std::vector<std::string>& names, bool only);
  void move_to_end(std::string_view name);

  const std::vector<PluginChoice>& chain() const { return chain_; }
  std::vector<PluginChoice> take() { return std::move(chain_); }

 private:
  std::vector<PluginChoice> chain_;
};

}  // namespace ropewalk::serve
