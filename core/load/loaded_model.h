// loaded_model.h — a model's graph on a device: claimed, placed in memory, weights packed.
//
// A model may have a second graph, for steps in which sequences have adapters. Both share weights,
// constants, cache and activations.
//
// Owns the device's buffers. Nothing is allocated before everything is known to fit: fold, claim,
// plan, compare the plan with the device's free memory, allocate, then read and pack one tensor at
// a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/abi/backend.h"
#include "core/graph/claims.h"
#include "core/graph/fold_permutations.h"
#include "core/graph/graph.h"
#include "core/load/memory_plan.h"
#include "core/model/model_graph.h"

namespace ropewalk {

enum class Folding { fold, keep_permutes };  // keep_permutes is the oracle of the tests

// How far the cache may shrink where the memory does not hold the graph's.
struct CacheLimit {
  double share = 1;        // of what is free beside the rest
  uint32_t min_pages = 0;  // 0: it may not shrink
};

// A graph, claimed and placed.
struct PlacedGraph {
  ModelGraph model;
  FoldReport folding = {};
  std::unique_ptr<GraphView> view = {};
  std::vector<OwnedClaim> steps = {};
  std::vector<abi::Claim> claims = {};
  std::vector<abi::Slice> scratch = {};
  abi::Slice workspace = {};  // of this graph alone: devices keep state there from step to step

  Graph& graph() { return model.graph; }
};

enum class StepKind { plain, adapted };

struct LoadSettings {
  std::vector<abi::ProgramShape> programs;  // every shape that will be compiled, at least one
  Folding folding = Folding::fold;
  std::string device_name;  // for messages
  CacheLimit cache = {};
  std::optional<ModelGraph> adapted = {};  // the same model with room for adapters
  // Called as tensors are packed, with bytes of the packed weights. May throw to cancel.
  std::function<void(uint64_t done, uint64_t total)> progress;
  // Called once, before anything is allocated.
  std::function<void(const MemoryPlan&)> planned;
};

class LoadedModel {
 public:
  // Throws Error: no_device where the device cannot run a node, out_of_memory where the plan does
  // not fit or an allocation fails, model for a bad weight. REQUIRES: the device outlives this.
  LoadedModel(abi::Device& device, const WeightSource& weights, ModelGraph model,
              const LoadSettings& settings);
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  const Graph& graph() const { return plain_.model.graph; }
  float logit_cap() const { return plain_.model.logit_cap; }
  const abi::Graph& view() const { return plain_.view->get(); }
  std::span<const OwnedClaim> steps() const { return plain_.steps; }
  std::span<const abi::Claim> claims() const { return plain_.claims; }
  // REQUIRES: of adapted ones only where has_adapters().
  const PlacedGraph& of(StepKind kind) const {
    return kind == StepKind::plain ? plain_ : *adapted_;
  }
  bool has_adapters() const { return adapted_.has_value(); }
  const MemoryPlan& plan() const { return plan_; }
  const FoldReport& folding() const { return plain_.folding; }
  uint32_t cache_pages() const { return cache_pages_; }  // of every layer

 private:
  std::vector<PlacedGraph*> graphs();
  void prepare(PlacedGraph& placed, const LoadSettings& settings);
  void plan(const LoadSettings& settings);
  void plan_weights();
  void plan_scratch(const LoadSettings& settings);
  void plan_cache(const CacheLimit& limit);
  void allocate();
  void share_tensors();
  void fill(const WeightSource& weights, const LoadSettings& settings);
  abi::Buffer allocate_buffer(abi::Arena arena, uint64_t bytes, std::string_view what);
  uint64_t workspace_bytes(const PlacedGraph& placed, const LoadSettings& settings);

  abi::Device& device_;
  PlacedGraph plain_;
  std::optional<PlacedGraph> adapted_;
  MemoryPlan plan_;
  uint32_t cache_pages_ = 0;
  std::vector<abi::Buffer> buffers_;
};

}  // namespace ropewalk
