// explain.h — what a request would do, link by link and option by option, and who set it.
#pragma once

#include <map>
#include <string>

#include "core/json/json_fwd.h"
#include "core/modules/description.h"
#include "core/modules/registry.h"
#include "core/serve/request/ask.h"

namespace ropewalk::serve {

// The samplers that requests may name, by name.
using SamplerManual = std::map<std::string, ModuleDescription>;

// Those of `known_links()` that are installed, and the configuration's own.
SamplerManual read_manual(Registry& registry, const Config& config);

// The chain, stops, seeds and lengths of an Ask. Throws Error(usage) for an option that a sampler
// does not take.
Json explain(const Ask& ask, const ServedModel& model, const SamplerManual& manual);

}  // namespace ropewalk::serve
