// adapter_config.h — adapter_config.json of a PEFT folder: how its low-rank matrices are meant.
//
// A pure function of the text. What is not a LoRA, what changed the base model in training and what
// cannot be added to a weight is refused here by the field's name.
// Source: peft 0.20, tuners/lora/config.py.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/module_pattern.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

struct AdapterConfig {
  template <class Value>
  struct Exception {
    std::string key;
    ModulePattern pattern;
    Value value;
  };

  std::string file;       // for errors
  std::string base_name;  // base_model_name_or_path; empty: not said
  uint32_t rank = 8;
  double alpha = 8;
  std::vector<Exception<uint32_t>> rank_pattern;  // the first that matches a module counts
  std::vector<Exception<double>> alpha_pattern;
  bool rslora = false;
  bool dora = false;
  bool ties_tables = false;  // ensure_weight_tying
  std::vector<std::string> modules_to_save;
  // trainable_token_indices: by the end of the module's name; under "" for the table of embeddings.
  std::map<std::string, std::vector<uint32_t>> token_rows;
  std::vector<std::string> ignored;  // fields that we do not know and that say something

  uint32_t rank_of(std::string_view module) const;
  // What B A is multiplied with: alpha / rank, or alpha / sqrt(rank) for rsLoRA.
  double scale_of(std::string_view module) const;
};

inline constexpr std::string_view kAdapterConfigName = "adapter_config.json";

// Throws Error (the source's code) naming the field.
AdapterConfig parse_adapter_config(const Json& json, const JsonSource& source);

}  // namespace ropewalk
