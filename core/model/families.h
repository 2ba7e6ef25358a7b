// families.h — the supported families of models, and the graph of a model.
//
// A new family is a row of the table in families.cpp: how config.json names it, which keys only it
// has, and which function builds its graph.
#pragma once

#include <span>

#include "core/checkpoint/config/model_config.h"
#include "core/model/model_graph.h"

namespace ropewalk {

struct Family {
  ConfigFamily config;
  ModelGraph (*build)(const WeightSource& weights, const ModelOptions& options);
};

std::span<const Family> families();

// REQUIRES: one of them has this model_type.
const Family& family_of(std::string_view model_type);

// How config.json describes each, for Checkpoint::open() and parse_model_config().
std::span<const ConfigFamily> config_families();

// The graph of a model of the family that weights.config().model_type names. Throws Error (exit
// code model) where a weight is missing or contradicts config.json's shapes.
ModelGraph build_model(const WeightSource& weights, const ModelOptions& options);

}  // namespace ropewalk
