#include "core/engine/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/engine/kv_type.h"
#include "core/exec/buckets.h"
#include "core/graph/work.h"
#include "core/model/families.h"

namespace ropewalk {
namespace {

// A cancel is honoured between steps, so a step is limited to about this much arithmetic: a second
// on two cores with AVX-512, or where two cores play a GPU. Wider steps are faster: 1.1 billion
// parameters run 62 tokens/s in steps of 8 rows, 117 in steps of 64. The limit follows from the
// model's size and not from the clock, so that the same prompt is always cut in the same places.
struct StepLimit {
  double flop;
  uint32_t min_rows;
};
constexpr StepLimit kOnCpu{2e11, 16};
constexpr StepLimit kOnSoftware{2e10, 8};

uint32_t rows_per_step(const abi::DeviceInfo& info, const Graph& graph, uint32_t context_length) {
  const uint32_t rows = std::min(info.max_rows, bucket_for(std::min(context_length, 2048u)));
  const bool software = info.type == abi::DeviceType::software;
  if (info.type != abi::DeviceType::cpu && !software) return rows;
  const StepLimit& limit = software ? kOnSoftware : kOnCpu;
  const double affordable = std::clamp(limit.flop / flop_of(graph, {.rows = 1}), 1.0, 512.0);
  return std::min(rows,
                  std::max(limit.min_rows, std::bit_floor(static_cast<uint32_t>(affordable))));
}

constexpr uint32_t kSequencesOnCpu = 8;
constexpr uint32_t kSequencesOnGpu = 32;
// Share of the memory that is free beside weights and activations. A CPU shares its memory with
// every other program.
constexpr double kCacheShareOnCpu = 0.5;
constexpr double kCacheShareOnGpu = 0.9;

bool uses_host_memory(const abi::DeviceInfo& info) {
  return info.type == abi::DeviceType::cpu || info.type == abi::DeviceType::software ||
         info.type == abi::DeviceType::integrated;
}

uint32_t sequences_on(const abi::DeviceInfo& info) {
  const bool cpu = info.type == abi::DeviceType::cpu || info.type == abi::DeviceType::software;
  return cpu ? kSequencesOnCpu : kSequencesOnGpu;
}

// Keys rotated on reading carry the policy's scale in that of the scores, which would scale what a
// partial rotation only copies.
void check_partial_rotation(const ModelConfig& model, double attention_scale,
                            abi::KeyRotation keys) {
  if (model.rotated() == model.head_dim || attention_scale == 1 ||
      keys == abi::KeyRotation::before_cache)
    return;
  throw Error(ExitCode::usage, "rope.mode",
              fmt::format("found exact, but this model rotates {} of {} dimensions and its policy "
                          "scales them by {}",
                          model.rotated(), model.head_dim, attention_scale),
              "Use hf-compat or fixed");
}

constexpr uint32_t kAdapterSlots = 8;

uint32_t adapter_slots(const RuntimeSettings& settings) {
  const auto adapters = static_cast<uint32_t>(settings.adapters.size());
  return std::min(settings.config.adapter_slots.value_or(kAdapterSlots), adapters);
}

}  // namespace

Runtime::Runtime(Registry& registry, const WeightSource& weights, const RuntimeSettings& settings)
    : model_config_(weights.config()),
      context_length_(settings.config.context.length.value_or(model_config_.trained_length)),
      device_(open_device(registry, settings.config.backend)) {
  const auto start = std::chrono::steady_clock::now();
  const abi::DType kv_type = kv_type_of(settings.config, device_);
  open_rope(registry, settings.config);

  const abi::DeviceInfo& info = device_.device->info();
  const uint32_t page_tokens = settings.config.context.page_tokens;
  const uint32_t pages_per_sequence = abi::pages_for(context_length_, page_tokens);
  const uint32_t sequences =
      settings.max_sequences > 0 ? settings.max_sequences : sequences_on(info);
  const uint32_t pages =
      settings.cache_pages > 0 ? settings.cache_pages : pages_per_sequence * sequences;
  const ModelOptions options{.activation = info.activation,
                             .kv_type = kv_type,
                             .cache_pages = pages,
                             .attention_scale = rope_tables_->attention_scale(),
                             .keys = rope_choice_.mode == RopeMode::exact && rope_tables_->varies()
                                         ? abi::KeyRotation::on_read
                                         : abi::KeyRotation::before_cache,
                             .page_tokens = page_tokens};
  check_partial_rotation(model_config_, options.attention_scale, options.keys);
  ModelGraph graph = build_model(weights, options);
  std::optional<AdapterRoom> room;
  if (!settings.adapters.empty()) room = room_for(settings.adapters, adapter_slots(settings));
  if (settings.graph_built) settings.graph_built(graph);
  const uint32_t rows =
      std::max(rows_per_step(info, graph.graph, context_length_), bucket_for(sequences));
  const abi::ProgramShape widest{rows, std::min(settings.max_wanted, rows), sequences,
                                 pages_per_sequence};
  LoadSettings load;
  load.programs = shapes_within(widest);
  load.folding = settings.folding;
  load.device_name = device_.name();
  if (settings.cache_fit == CacheFit::free_memory)
    load.cache = {.share = uses_host_memory(info) ? kCacheShareOnCpu : kCacheShareOnGpu,
                  .min_pages = pages_per_sequence};
  if (room) {
    ModelOptions with_room = options;
    with_room.adapters = &*room;
    load.adapted = build_model(weights, with_room);
  }
  load.progress = settings.load_progress;
  load.planned = [&](const MemoryPlan& plan) {
    verbose("memory: " + describe(plan, info.memory_free));
    if (settings.planned) settings.planned(plan, device_);
    tell_of_device(device_);  // not where only the plan was asked for
  };
  model_ = std::make_unique<LoadedModel>(*device_.device, weights, std::move(graph), load);
  cache_ = std::make_unique<KvCache>(model_->cache_pages(), page_tokens, context_length_);
  executor_ = std::make_unique<Executor>(*device_.device, *model_, *rope_tables_, widest);
  if (room) open_adapters(settings);
  weight_bytes_per_step_ = packed_weight_bytes(model_->graph());
  cache_bytes_per_token_ = ropewalk::cache_bytes_per_token(model_->graph());
  load_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  verbose(fmt::format("act-order: {} permutations, {} left after folding",
                      model_->folding().permutes_before, model_->folding().permutes_after));
}

void Runtime::open_adapters(const RuntimeSettings& settings) {
  adapters_ = std::make_unique<AdapterPool>(*device_.device, *model_, settings.adapters);
  executor_->use_adapters(*adapters_);
  for (uint32_t i = 0; i < settings.adapters.size(); ++i)
    if (settings.adapters[i].name == settings.config.adapter) cache_->set_default_adapter(i);
  verbose(fmt::format("adapters: {} in {} slots", settings.adapters.size(), adapters_->slots()));
}

std::span<const NamedAdapter> Runtime::adapters() const {
  return adapters_ ? adapters_->adapters() : std::span<const NamedAdapter>();
}

void Runtime::trace_to(TraceFile& file, const Ceiling& ceiling) {
  trace_ = std::make_unique<StepTrace>(*device_.device, *model_, ceiling, file);
  executor_->trace_to(*trace_);
}

void Runtime::open_rope(Registry& registry, const Config& config) {
  rope_choice_ = choose_rope(config, model_config_, context_length_);
  const Library& library = registry.find_choice(abi::ModuleKind::rope_scaling, rope_choice_.plugin);
  try {
    rope_policy_ = library.create<abi::RopeScaling>(rope_choice_.plugin, nullptr);
    rope_tables_ = std::make_unique<RopeTables>(*rope_policy_, rope_choice_.request,
                                                rope_choice_.mode, rope_choice_.heads);
  } catch (const Error& error) {
    if (!rope_choice_.from_model || error.code() != ExitCode::usage) throw;
    // Options that config.json gives are the model's fault, not the user's.
    std::string said = error.what();
    if (said.ends_with('.')) said.pop_back();
    throw Error(ExitCode::model, "", said, "");
  }
}

}  // namespace ropewalk
