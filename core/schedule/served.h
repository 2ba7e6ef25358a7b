// served.h — what a scheduler serves.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/config/config.h"
#include "core/exec/executor.h"
#include "core/generate/vocabulary.h"
#include "core/sample/chain.h"

namespace ropewalk {

// `make_chain` may be called from any thread; the rest belongs to the scheduler's.
struct Served {
  Executor& executor;
  KvCache& cache;
  const RopeTables& rope;
  Vocabulary vocabulary;
  std::function<Chain(std::span<const PluginChoice>, uint64_t seed)> make_chain;
};

// REQUIRES: the engine outlives what is returned.
Served serve_engine(Engine& engine);

}  // namespace ropewalk
