// sampling_fields.h — the sampling fields of OpenAI, tabbyAPI, text-generation-webui and llama.cpp
// as changes to the configured chain of samplers.
//
// Sources: the request models of theroyallab/tabbyAPI and of oobabooga/text-generation-webui, the
// README of the server of ggml-org/llama.cpp, the OpenAI API reference.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/serve/request/fields.h"
#include "core/serve/request/told.h"
#include "core/text/tokenizer.h"

namespace ropewalk::serve {

struct SamplingRules {
  const Tokenizer* tokenizer;           // for the ids and texts of biases and bans
  std::span<const std::string> locked;  // fields that keep the configuration's value
  std::span<const SamplingBound> bounds = {};
};

// Whether requests have the fields that serve.sampling.lock and .bounds name; by bounds only those
// with numbers. Throws Error(usage) with the nearest name.
void check_sampling_names(const ServeConfig& serve);

// The chain of a request. A missing field leaves the configuration's option, a field at its neutral
// value adds no link. Options that the request set have its field as their place (Where::file).
// Throws ApiError 400 for types and for what no plugin could check.
std::vector<PluginChoice> requested_chain(Fields& fields, const std::vector<PluginChoice>& base,
                                          const SamplingRules& rules, Told& told);

// `ropewalk.sampling`: a chain in the configuration's own form, which takes the place of the
// configured one. Throws ApiError 400 for another shape and for a sampler that is not in `known`.
std::vector<PluginChoice> chain_from_json(const Json& list, std::span<const std::string> known);

}  // namespace ropewalk::serve
