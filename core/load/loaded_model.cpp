#include "core/load/loaded_model.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "core/graph/check.h"
#include "core/graph/scratch_plan.h"
#include "core/load/weight_arena.h"
#include "core/load/weight_stream.h"
#include "core/modules/library.h"

namespace ropewalk {
namespace {

using abi::TensorKind;

// The device's staging memory, open during the load.
class Staging {
 public:
  Staging(abi::Device& device, uint64_t wanted) : device_(device) {
    check(device.open_staging(wanted, &memory_), "memory for loading");
  }
  ~Staging() { device_.close_staging(); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  std::span<std::byte> memory() const { return memory_; }

 private:
  abi::Device& device_;
  std::span<std::byte> memory_;
};

}  // namespace

LoadedModel::LoadedModel(abi::Device& device, const WeightSource& weights, ModelGraph model,
                         const LoadSettings& settings)
    : device_(device), plain_{std::move(model)} {
  if (settings.adapted) adapted_.emplace(PlacedGraph{*settings.adapted});
  try {
    for (PlacedGraph* placed : graphs()) prepare(*placed, settings);
    plan(settings);
    allocate();
    fill(weights, settings);
  } catch (...) {
    for (const abi::Buffer buffer : buffers_) device_.free(buffer);
    throw;
  }
}

LoadedModel::~LoadedModel() {
  for (const abi::Buffer buffer : buffers_) device_.free(buffer);
}

std::vector<PlacedGraph*> LoadedModel::graphs() {
  if (!adapted_) return {&plain_};
  return {&plain_, &*adapted_};
}

void LoadedModel::prepare(PlacedGraph& placed, const LoadSettings& settings) {
  if (settings.folding == Folding::fold) placed.folding = fold_permutations(placed.graph());
  check_graph(placed.graph());
  placed.view = std::make_unique<GraphView>(placed.graph());
  ClaimList offered;
  check(device_.claim(placed.view->get(), offered), settings.device_name);
  placed.steps = choose_steps(placed.graph(), offered, settings.device_name);
  for (const OwnedClaim& step : placed.steps)
    placed.claims.push_back({step.nodes, step.hidden, step.gain_us});
}

// The max over all programs: a narrow one may need more, because its attention has more splits.
uint64_t LoadedModel::workspace_bytes(const PlacedGraph& placed, const LoadSettings& settings) {
  uint64_t largest = 0;
  for (const abi::ProgramShape& shape : settings.programs) {
    uint64_t bytes = 0;
    check(device_.workspace_bytes({&placed.view->get(), placed.claims, shape}, &bytes),
          settings.device_name);
    largest = std::max(largest, bytes);
  }
  return WeightArena::aligned(largest);
}

// Sets the bytes of every tensor that needs memory; buffers come later.
void LoadedModel::plan(const LoadSettings& settings) {
  plan_weights();
  plan_scratch(settings);
  for (PlacedGraph* placed : graphs()) {
    placed->workspace.bytes = workspace_bytes(*placed, settings);
    plan_.workspace += placed->workspace.bytes;
  }
  plan_cache(settings.cache);
  if (settings.planned) settings.planned(plan_);

  check_fits(plan_, device_.info().memory_free, settings.device_name);
}

void LoadedModel::plan_weights() {
  Graph& graph = plain_.graph();
  for (const WeightLoad& load : plain_.model.weights) {
    const GraphTensor& tensor = graph.tensors[load.tensor];
    check(device_.packed_bytes(load.info.shape, &graph.tensors[load.tensor].at.bytes), tensor.name);
  }
  for (TensorId t = 0; t < graph.tensors.size(); ++t) {
    GraphTensor& tensor = graph.tensors[t];
    if (tensor.kind == TensorKind::constant && !graph.readers(t).empty()) {
      tensor.at.bytes = WeightArena::aligned(graph.bytes(t, 0, 0));
    }
    if (tensor.kind == TensorKind::weight || tensor.kind == TensorKind::constant) {
      plan_.weights += tensor.at.bytes;
    }
  }
  if (!adapted_) return;
  for (TensorId t = 0; t < adapted_->graph().tensors.size(); ++t) {
    GraphTensor& tensor = adapted_->graph().tensors[t];
    if (tensor.kind != TensorKind::adapter) continue;
    tensor.at.bytes = WeightArena::aligned(adapted_->graph().bytes(t, 0, 0));
    plan_.adapters += tensor.at.bytes;
  }
}

void LoadedModel::plan_scratch(const LoadSettings& settings) {
  uint32_t rows = 0, wanted = 0;
  for (const abi::ProgramShape& shape : settings.programs) {
    rows = std::max(rows, shape.rows);
    wanted = std::max(wanted, shape.wanted);
  }
  for (PlacedGraph* placed : graphs()) {
    ScratchPlan scratch = ropewalk::plan_scratch(placed->graph(), placed->steps, rows, wanted);
    plan_.scratch = std::max(plan_.scratch, scratch.bytes);
    placed->scratch = std::move(scratch.slices);
  }
}

// Last, as it gets what the rest leaves.
void LoadedModel::plan_cache(const CacheLimit& limit) {
  uint64_t page_bytes = 0;  // of all layers
  for (const GraphTensor& tensor : plain_.graph().tensors) {
    if (tensor.kind != TensorKind::cache) continue;
    cache_pages_ = tensor.dims[0];
    page_bytes += kv_page_of(tensor).bytes();
  }
  const uint64_t used = plan_.total(), free = device_.info().memory_free;
  if (limit.min_pages > 0 && page_bytes > 0) {
    const double bytes = limit.share * static_cast<double>(free - std::min(used, free));
    const auto fitting = static_cast<uint64_t>(bytes / static_cast<double>(page_bytes));
    cache_pages_ = static_cast<uint32_t>(
        std::min<uint64_t>(cache_pages_, std::max<uint64_t>(fitting, limit.min_pages)));
  }
  for (GraphTensor& tensor : plain_.graph().tensors) {
    if (tensor.kind != TensorKind::cache) continue;
    tensor.dims[0] = cache_pages_;
    tensor.at.bytes = cache_pages_ * kv_page_of(tensor).bytes();
  }
  plan_.cache = cache_pages_ * page_bytes;
}

abi::Buffer LoadedModel::allocate_buffer(abi::Arena arena, uint64_t bytes, std::string_view what) {
  abi::Buffer buffer;
  check(device_.allocate(arena, bytes, &buffer), what);
  buffers_.push_back(buffer);
  return buffer;
}

void LoadedModel::allocate() {
  WeightArena weights, adapters;
  for (PlacedGraph* placed : graphs())
    for (GraphTensor& tensor : placed->graph().tensors) {
      if (tensor.at.bytes == 0) continue;
      if (tensor.kind == TensorKind::weight || tensor.kind == TensorKind::constant)
        weights.add(&tensor.at);
      if (tensor.kind == TensorKind::adapter) adapters.add(&tensor.at);
    }
  const auto allocate_as = [&](std::string_view what) {
    return
        [this, what](uint64_t bytes) { return allocate_buffer(abi::Arena::weights, bytes, what); };
  };
  weights.place(allocate_as("weights"));
  adapters.place(allocate_as("adapters"));

  for (GraphTensor& tensor : plain_.graph().tensors) {
    if (tensor.kind != TensorKind::cache) continue;
    tensor.at.buffer = allocate_buffer(abi::Arena::cache, tensor.at.bytes, tensor.name);
  }
  if (adapted_) share_tensors();
  abi::Buffer scratch;
  if (plan_.scratch > 0) scratch = allocate_buffer(abi::Arena::scratch, plan_.scratch, "scratch");
  for (PlacedGraph* placed : graphs()) {
    for (TensorId t = 0; t < placed->graph().tensors.size(); ++t) {
      if (placed->scratch[t].bytes == 0) continue;
      placed->graph().tensors[t].at = placed->scratch[t];
      placed->graph().tensors[t].at.buffer = scratch;
    }
    if (placed->workspace.bytes > 0)
      placed->workspace.buffer =
          allocate_buffer(abi::Arena::scratch, placed->workspace.bytes, "workspace");
    placed->view = std::make_unique<GraphView>(placed->graph());
  }
}

// The second graph uses what the first has under the same names.
void LoadedModel::share_tensors() {
  std::map<std::string_view, const GraphTensor*> first;
  for (const GraphTensor& tensor : plain_.graph().tensors) first.emplace(tensor.name, &tensor);
  for (TensorId t = 0; t < adapted_->graph().tensors.size(); ++t) {
    GraphTensor& tensor = adapted_->graph().tensors[t];
    if (tensor.kind == TensorKind::scratch || tensor.kind == TensorKind::adapter ||
        adapted_->graph().readers(t).empty())
      continue;
    const auto found = first.find(tensor.name);
    if (found == first.end() || found->second->at.bytes == 0 ||
        found->second->column_order != tensor.column_order)
      throw std::logic_error("graph: the graph with adapters lays out " + tensor.name +
                             " in another way");
    tensor.dims = found->second->dims;  // a cache may have shrunk
    tensor.at = found->second->at;
  }
}

void LoadedModel::fill(const WeightSource& weights, const LoadSettings& settings) {
  Graph& graph = plain_.graph();
  uint64_t done = 0;
  const auto advance = [&](uint64_t bytes) {
    done += bytes;
    if (settings.progress) settings.progress(done, plan_.weights);
  };
  const auto write = [&](TensorId tensor, std::span<const std::byte> bytes) {
    abi::Slice to = graph.tensors[tensor].at;
    to.bytes = bytes.size();
    check(device_.write(to, bytes), graph.tensors[tensor].name);
    advance(graph.tensors[tensor].at.bytes);
  };

  for (TensorId t = 0; t < graph.tensors.size(); ++t) {
    const GraphTensor& tensor = graph.tensors[t];
    if (!tensor.values.empty() && tensor.at.bytes > 0) {
      write(t, std::as_bytes(std::span(tensor.values)));
    }
  }
  for (const VectorLoad& load : plain_.model.vectors) {
    std::vector<float> values = weights.load_vector(load.name, load.size);
    for (float& value : values) value = (value + load.plus) * load.scale;
    write(load.tensor, std::as_bytes(std::span(values)));
  }
  for (const WeightLoad& load : plain_.model.weights) {
    if (!load.bias) continue;
    const std::vector<float> bias =
        weights.load_bias(load.info, graph.tensors[load.tensor].column_order);
    write(*load.bias, std::as_bytes(std::span(bias)));
  }

  const Staging staging(device_, plan_.weights);
  WeightStream stream(weights, plain_.model, staging.memory());
  while (const WeightStream::Part* part = stream.next()) {
    const abi::Weight& weight = part->weight;
    const GraphTensor& tensor = graph.tensors[part->tensor];
    const abi::Slice& to = tensor.at;
    check_weight(tensor.name, weight);
    check(device_.pack(weight, to), tensor.name);
    const auto until = [&](uint64_t column) { return to.bytes * column / weight.whole_cols(); };
    advance(until(weight.first_column + weight.cols) - until(weight.first_column));
  }
}

}  // namespace ropewalk
