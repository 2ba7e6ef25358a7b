#include "core/schedule/served.h"

#include "core/engine/engine.h"

namespace ropewalk {

Served serve_engine(Engine& engine) {
  Runtime& runtime = engine.runtime();
  return {runtime.executor(), runtime.cache(), runtime.rope_tables(), vocabulary_of(engine),
          [&engine](std::span<const PluginChoice> samplers, uint64_t seed) {
            return engine.make_chain(samplers, seed);
          }};
}

}  // namespace ropewalk
