// runtime.h — a model loaded on a device, ready to run steps: everything below the level of text.
//
// Built from any WeightSource, so a benchmark on random weights takes the same path as a
// checkpoint. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/checkpoint/weights/weight_source.h"
#include "core/config/config.h"
#include "core/engine/devices.h"
#include "core/engine/rope_choice.h"
#include "core/exec/executor.h"
#include "core/exec/kv_cache.h"
#include "core/exec/step_trace.h"
#include "core/load/adapter_pool.h"
#include "core/load/loaded_model.h"
#include "core/modules/registry.h"

namespace ropewalk {

enum class CacheFit {
  as_asked,     // an error where it does not fit
  free_memory,  // fewer pages where it does not fit, but at least one full context
};

struct RuntimeSettings {
  Config config;
  uint32_t max_sequences = 1;  // in one step; 0: 8 on a CPU, 32 on a GPU
  uint32_t max_wanted = 1;     // logits rows of one step: 1 to generate, more to score
  uint32_t cache_pages = 0;    // shared by all sequences; 0: a full context for each
  CacheFit cache_fit = CacheFit::as_asked;
  Folding folding = Folding::fold;
  // What sequences may run with, by index; config.adapter is the default's name.
  std::vector<NamedAdapter> adapters;
  std::function<void(uint64_t done, uint64_t total)> load_progress;  // bytes packed; may throw
  std::function<void(const ModelGraph&)> graph_built;  // called before any weight is read
  // Called before anything is allocated, also where it does not fit; may throw.
  std::function<void(const MemoryPlan&, const OpenDevice&)> planned;
};

class Runtime {
 public:
  // Chooses device and RoPE policy, plans the memory (printed with --verbose), loads. Throws Error.
  // REQUIRES: the registry outlives this; `weights` is needed during the call only.
  Runtime(Registry& registry, const WeightSource& weights, const RuntimeSettings& settings);

  const OpenDevice& device() const { return device_; }
  const ModelConfig& model_config() const { return model_config_; }
  const RopeChoice& rope() const { return rope_choice_; }
  const RopeTables& rope_tables() const { return *rope_tables_; }
  const LoadedModel& model() const { return *model_; }
  KvCache& cache() { return *cache_; }
  Executor& executor() { return *executor_; }
  std::span<const NamedAdapter> adapters() const;
  // Every step from here on is added to the file. Throws Error: no_device where the device cannot
  // time its steps. REQUIRES: the file outlives this; no step has run and nothing has warmed up.
  void trace_to(TraceFile& file, const Ceiling& ceiling);

  uint32_t context_length() const { return context_length_; }
  double load_seconds() const { return load_seconds_; }

  // Bytes that one decode step reads: of the weights, and of the cache for each cached token.
  uint64_t weight_bytes_per_step() const { return weight_bytes_per_step_; }
  uint64_t cache_bytes_per_token() const { return cache_bytes_per_token_; }

 private:
  void open_rope(Registry& registry, const Config& config);
  void open_adapters(const RuntimeSettings& settings);

  ModelConfig model_config_;
  uint32_t context_length_;
  OpenDevice device_;
  RopeChoice rope_choice_;
  Owned<abi::RopeScaling> rope_policy_;
  std::unique_ptr<RopeTables> rope_tables_;
  std::unique_ptr<LoadedModel> model_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<AdapterPool> adapters_;  // null: there are none
  std::unique_ptr<StepTrace> trace_;
  std::unique_ptr<Executor> executor_;
  double load_seconds_ = 0;
  uint64_t weight_bytes_per_step_ = 0;
  uint64_t cache_bytes_per_token_ = 0;
};

}  // namespace ropewalk
