#include "core/exec/loaded_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/exec/buckets.h"
#include "core/exec/read_ahead.h"
#include "core/exec/weight_arena.h"
#include "core/graph/check.h"
#include "core/graph/memory_plan.h"
#include "core/modules/library.h"

namespace ropewalk {
namespace {

using abi::TensorKind;

// Some requests at a time keep a disk busy; the memory is a few layers' of a 13B model, whose
// largest weight is 41 MB.
constexpr ReadAhead::Limits kReading{4, uint64_t{128} << 20};

// The shape of a weight for packed_bytes(), without its data.
abi::Weight shape_of(const LinearInfo& info) {
  abi::Weight weight;
  weight.rows = info.rows;
  weight.cols = info.cols;
  weight.dtype = info.quantized ? abi::DType::gptq : info.dense_type;
  weight.bits = info.bits;
  weight.group_size = info.group_size;
  weight.scale_dtype = info.scale_dtype;
  return weight;
}

abi::Weight shape_of(const GraphTensor& table, abi::WeightUse use) {
  abi::Weight weight;
  weight.use = use;
  weight.dtype = table.dtype;
  // A tied lm_head has the dims of a matmul's weight (hidden, vocab), the table (vocab, hidden).
  weight.rows = table.dims[use == abi::WeightUse::matmul ? 0 : 1];
  weight.cols = table.dims[use == abi::WeightUse::matmul ? 1 : 0];
  return weight;
}

abi::WeightUse use_of(const Graph& graph, TensorId tensor) {
  for (const uint32_t node : graph.readers(tensor)) {
    if (graph.nodes[node].op == abi::Op::embed) return abi::WeightUse::embed;
  }
  return abi::WeightUse::matmul;
}

}  // namespace

std::string format_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, kUnits[unit]);
}

std::string describe(const MemoryPlan& plan, uint64_t free_bytes) {
  return fmt::format("weights {}, cache {}, scratch {}, workspace {}: {} of {} free",
                     format_bytes(plan.weights), format_bytes(plan.cache),
                     format_bytes(plan.scratch), format_bytes(plan.workspace),
                     format_bytes(plan.total()), format_bytes(free_bytes));
}

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

uint64_t LoadedModel::packed_bytes(TensorId tensor, abi::Weight shape) {
  uint64_t bytes = 0;
  check(device_.packed_bytes(shape, &bytes), model_.graph.tensors[tensor].name);
  return bytes;
}

// A narrow program may need more than a wide one: its attention is split into more parts.
uint64_t LoadedModel::workspace_bytes(const LoadSettings& settings) {
  uint64_t most = 0;
  for (const abi::ProgramShape& shape : shapes_within(settings.widest)) {
    uint64_t bytes = 0;
    check(device_.workspace_bytes({&view(), claims_, shape}, &bytes), settings.device_name);
    most = std::max(most, bytes);
  }
  return WeightArena::aligned(most);
}

// Fills in the bytes of every tensor that needs a place; buffers come later.
void LoadedModel::plan(const LoadSettings& settings) {
  Graph& graph = model_.graph;
  const abi::ProgramShape& widest = settings.widest;
  for (const LinearLoad& load : model_.linears) {
    graph.tensors[load.weight].at.bytes = packed_bytes(load.weight, shape_of(load.info));
  }
  for (const TableLoad& load : model_.tables) {
    const abi::WeightUse use = use_of(graph, load.tensor);
    graph.tensors[load.tensor].at.bytes =
        packed_bytes(load.tensor, shape_of(graph.tensors[load.tensor], use));
  }
  for (TensorId t = 0; t < graph.tensors.size(); ++t) {
    GraphTensor& tensor = graph.tensors[t];
    if (tensor.kind == TensorKind::constant && !graph.readers(t).empty()) {
      tensor.at.bytes = WeightArena::aligned(graph.bytes(t, 0, 0));
    } else if (tensor.kind == TensorKind::cache) {
      tensor.at.bytes =
          tensor.dims[0] * abi::kv_page_bytes(tensor.dtype, tensor.dims[2], tensor.dims[3]);
      plan_.cache += tensor.at.bytes;
    }
    if (tensor.kind == TensorKind::weight || tensor.kind == TensorKind::constant) {
      plan_.weights += tensor.at.bytes;
    }
  }
  const ScratchPlan scratch = plan_scratch(graph, steps_, widest.rows, widest.wanted);
  plan_.scratch = scratch.bytes;
  scratch_ = scratch.slices;

  plan_.workspace = workspace_bytes(settings);
  if (settings.planned) settings.planned(plan_);

  const uint64_t free_bytes = device_.info().memory_free;
  if (plan_.total() > free_bytes) {
    const uint64_t fixed = plan_.total() - plan_.cache;
    const std::string advice =
        fixed < free_bytes
            ? fmt::format(
                  "A context of about {:.0f} % of this length would fit: lower context.length, "
                  "or set context.kv_cache to int8",
                  100.0 * static_cast<double>(free_bytes - fixed) /
                      static_cast<double>(plan_.cache))
            : "Use a device with more memory or a model with fewer bits";
    throw Error(ExitCode::out_of_memory, settings.device_name,
                "the model does not fit: " + describe(plan_, free_bytes), advice);
  }
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
  const auto advance = [&](TensorId tensor) {
    done += graph.tensors[tensor].at.bytes;
    if (settings.progress) settings.progress(done, plan_.weights);
  };
  const auto pack = [&](const std::string& name, const abi::Weight& weight, TensorId tensor) {
    check_weight(name, weight);
    check(device_.pack(weight, graph.tensors[tensor].at), name);
    advance(tensor);
  };
  const auto write = [&](TensorId tensor, std::span<const std::byte> bytes) {
    abi::Slice to = graph.tensors[tensor].at;
    to.bytes = bytes.size();
    check(device_.write(to, bytes), graph.tensors[tensor].name);
    advance(tensor);
  };

  for (TensorId t = 0; t < graph.tensors.size(); ++t) {
    const GraphTensor& tensor = graph.tensors[t];
    if (!tensor.values.empty() && tensor.at.bytes > 0) {
      write(t, std::as_bytes(std::span(tensor.values)));
    }
  }
  for (const VectorLoad& load : model_.vectors) {
    const std::vector<float> values = weights.load_vector(load.name, load.size);
    write(load.tensor, std::as_bytes(std::span(values)));
  }
  // In the order in which they are read below.
  std::vector<ReadAhead::Job> jobs;
  for (const TableLoad& load : model_.tables) {
    const ModelConfig& config = weights.config();
    jobs.push_back({[&load, &config, &weights] {
                      return weights.load_table(load.name, config.vocab_size, config.hidden_size);
                    },
                    graph.tensors[load.tensor].at.bytes});
  }
  for (const LinearLoad& load : model_.linears)
    jobs.push_back({[&load, &graph, &weights] {
                      return weights.load_linear(load.info,
                                                 graph.tensors[load.weight].column_order);
                    },
                    graph.tensors[load.weight].at.bytes});
  ReadAhead reading(std::move(jobs), kReading);
  for (const TableLoad& load : model_.tables) {
    const auto table = reading.next();
    abi::Weight weight = table->view();
    weight.use = use_of(graph, load.tensor);
    pack(load.name, weight, load.tensor);
  }
  for (const LinearLoad& load : model_.linears) {
    const auto weight = reading.next();
    pack(load.info.prefix, weight->view(), load.weight);
    if (load.bias) write(*load.bias, std::as_bytes(std::span(weight->bias())));
  }
}

}  // namespace ropewalk
