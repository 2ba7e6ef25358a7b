#include "core/load/loaded_model.h"

#include <algorithm>

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
    : device_(device), model_(std::move(model)) {
  if (settings.folding == Folding::fold) folding_ = fold_permutations(model_.graph);
  try {
    claim(settings.device_name);
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

void LoadedModel::refresh_view() { view_ = std::make_unique<GraphView>(model_.graph); }

void LoadedModel::claim(std::string_view device_name) {
  check_graph(model_.graph);
  refresh_view();
  ClaimList offered;
  check(device_.claim(view(), offered), device_name);
  steps_ = choose_steps(model_.graph, offered, device_name);
  for (const OwnedClaim& step : steps_) claims_.push_back({step.nodes, step.hidden, step.gain_us});
}

// The max over all programs: a narrow one may need more, because its attention has more splits.
uint64_t LoadedModel::workspace_bytes(const LoadSettings& settings) {
  uint64_t largest = 0;
  for (const abi::ProgramShape& shape : settings.programs) {
    uint64_t bytes = 0;
    check(device_.workspace_bytes({&view(), claims_, shape}, &bytes), settings.device_name);
    largest = std::max(largest, bytes);
  }
  return WeightArena::aligned(largest);
}

// Sets the bytes of every tensor that needs memory; buffers come later.
void LoadedModel::plan(const LoadSettings& settings) {
  Graph& graph = model_.graph;
  for (const WeightLoad& load : model_.weights) {
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
  uint32_t rows = 0, wanted = 0;
  for (const abi::ProgramShape& shape : settings.programs) {
    rows = std::max(rows, shape.rows);
    wanted = std::max(wanted, shape.wanted);
  }
  const ScratchPlan scratch = plan_scratch(graph, steps_, rows, wanted);
  plan_.scratch = scratch.bytes;
  scratch_ = scratch.slices;

  plan_.workspace = workspace_bytes(settings);
  plan_cache(settings.cache);
  if (settings.planned) settings.planned(plan_);

  check_fits(plan_, device_.info().memory_free, settings.device_name);
}

// Last, as it gets what the rest leaves.
void LoadedModel::plan_cache(const CacheLimit& limit) {
  uint64_t page_bytes = 0;  // of all layers
  for (const GraphTensor& tensor : model_.graph.tensors) {
    if (tensor.kind != TensorKind::cache) continue;
    cache_pages_ = tensor.dims[0];
    page_bytes += abi::kv_page_bytes(tensor.dtype, tensor.dims[2], tensor.dims[3]);
  }
  const uint64_t used = plan_.total(), free = device_.info().memory_free;
  if (limit.min_pages > 0 && page_bytes > 0) {
    const double bytes = limit.share * static_cast<double>(free - std::min(used, free));
    const auto fitting = static_cast<uint64_t>(bytes / static_cast<double>(page_bytes));
    cache_pages_ = static_cast<uint32_t>(
        std::min<uint64_t>(cache_pages_, std::max<uint64_t>(fitting, limit.min_pages)));
  }
  for (GraphTensor& tensor : model_.graph.tensors) {
    if (tensor.kind != TensorKind::cache) continue;
    tensor.dims[0] = cache_pages_;
    tensor.at.bytes =
        cache_pages_ * abi::kv_page_bytes(tensor.dtype, tensor.dims[2], tensor.dims[3]);
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
  Graph& graph = model_.graph;
  WeightArena arena;
  for (GraphTensor& tensor : graph.tensors) {
    const bool stored = tensor.kind == TensorKind::weight || tensor.kind == TensorKind::constant;
    if (stored && tensor.at.bytes > 0) arena.add(&tensor.at);
  }
  arena.place(
      [&](uint64_t bytes) { return allocate_buffer(abi::Arena::weights, bytes, "weights"); });

  for (GraphTensor& tensor : graph.tensors) {
    if (tensor.kind != TensorKind::cache) continue;
    tensor.at.buffer = allocate_buffer(abi::Arena::cache, tensor.at.bytes, tensor.name);
  }
  if (plan_.scratch > 0) {
    const abi::Buffer scratch = allocate_buffer(abi::Arena::scratch, plan_.scratch, "scratch");
    for (TensorId t = 0; t < graph.tensors.size(); ++t) {
      if (scratch_[t].bytes == 0) continue;
      graph.tensors[t].at = scratch_[t];
      graph.tensors[t].at.buffer = scratch;
    }
  }
  if (plan_.workspace > 0) {
    workspace_ = {allocate_buffer(abi::Arena::scratch, plan_.workspace, "workspace"), 0,
                  plan_.workspace};
  }
  refresh_view();
}

void LoadedModel::fill(const WeightSource& weights, const LoadSettings& settings) {
  Graph& graph = model_.graph;
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
  for (const VectorLoad& load : model_.vectors) {
    std::vector<float> values = weights.load_vector(load.name, load.size);
    for (float& value : values) value = (value + load.plus) * load.scale;
    write(load.tensor, std::as_bytes(std::span(values)));
  }
  for (const WeightLoad& load : model_.weights) {
    if (!load.bias) continue;
    const std::vector<float> bias =
        weights.load_bias(load.info, graph.tensors[load.tensor].column_order);
    write(*load.bias, std::as_bytes(std::span(bias)));
  }

  const Staging staging(device_, plan_.weights);
  WeightStream stream(weights, model_, staging.memory());
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
