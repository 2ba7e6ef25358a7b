#include "core/load/adapter_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "core/base/error.h"
#include "core/checkpoint/weights/round.h"
#include "core/modules/library.h"

namespace ropewalk {
namespace {

constexpr uint32_t kRankStep = 32;

void refuse_beyond_f16(std::span<const float> values, std::string_view adapter,
                       const std::string& module) {
  for (const float value : values)
    if (!(std::fabs(value) <= 65504.0f))
      throw Error(
          ExitCode::model, fmt::format("adapters.{}", adapter),
          fmt::format("{} has the value {} after scaling, expected at most 65504, which f16 "
                      "holds",
                      module, value),
          "Check lora_alpha and the scale");
}

// Throws Error (model) for a value that is too large.
std::vector<std::byte> to_f16(std::span<const float> values, std::string_view adapter,
                              const std::string& module) {
  refuse_beyond_f16(values, adapter, module);
  std::vector<std::byte> bytes(values.size() * 2);
  round_to(StoredType::f16, values, bytes);
  return bytes;
}

// What writing the adapter into a slot would refuse: a running server must not find it.
void refuse_beyond_f16(const NamedAdapter& adapter) {
  for (const std::string& module : adapter.source->modules()) {
    const std::optional<LowRankMatrices> matrices = adapter.source->read(module);
    if (!matrices) continue;
    refuse_beyond_f16(matrices->a, adapter.name, module);
    refuse_beyond_f16(matrices->b, adapter.name, module);
  }
}

}  // namespace

AdapterRoom room_for(std::span<const NamedAdapter> adapters, uint32_t slots) {
  AdapterRoom room{.slots = slots};
  for (const NamedAdapter& adapter : adapters) {
    const std::vector<std::string> modules = adapter.source->modules();
    room.modules.insert(modules.begin(), modules.end());
    for (std::string& module : adapter.source->modules_with_vectors())
      room.vectors.insert(std::move(module));
    const uint32_t rank = adapter.source->max_rank();
    room.rank = std::max(room.rank, (rank + kRankStep - 1) / kRankStep * kRankStep);
  }
  return room;
}

AdapterPool::AdapterPool(abi::Device& device, const LoadedModel& model,
                         std::vector<NamedAdapter> adapters)
    : device_(device), model_(model.of(StepKind::adapted).model), adapters_(std::move(adapters)) {
  std::set<std::string> layers;
  for (const AdapterLoad& layer : model_.adapters) layers.insert(layer.module);
  for (const NamedAdapter& adapter : adapters_)
    for (const std::string& module : adapter.source->modules())
      if (!layers.contains(module))
        throw Error(ExitCode::model, fmt::format("adapters.{}", adapter.name),
                    fmt::format("it changes {}, which is no linear layer of the model", module),
                    "Take the model that the adapter was trained on");
  slots_.resize(model_.graph.tensors[model_.adapters.front().ranks].dims[0]);
  const auto first = static_cast<uint32_t>(std::min(adapters_.size(), slots_.size()));
  for (uint32_t adapter = 0; adapter < first; ++adapter) slot_of(adapter);
  std::for_each(adapters_.begin() + first, adapters_.end(),
                [](const NamedAdapter& adapter) { refuse_beyond_f16(adapter); });
}

void AdapterPool::place(std::span<uint32_t> adapters) {
  ++steps_;
  const std::set<uint32_t> distinct(adapters.begin(), adapters.end());
  const size_t needed = distinct.size() - distinct.count(abi::kNoAdapter);
  if (needed > slots_.size())
    throw Error(ExitCode::limit, "adapter_slots",
                fmt::format("a step needs {} adapters, there are {} slots", needed, slots_.size()),
                "Raise adapter_slots");
  // Those that are there first, so that none gives way to another of the same step.
  for (Slot& slot : slots_)
    if (slot.adapter != abi::kNoAdapter && distinct.contains(slot.adapter)) slot.last_step = steps_;
  for (uint32_t& adapter : adapters)
    if (adapter != abi::kNoAdapter)
      adapter = static_cast<uint32_t>(&slot_of(adapter) - slots_.data());
}

// Writes the adapter into the slot of the one that was used the longest ago, where it has none.
AdapterPool::Slot& AdapterPool::slot_of(uint32_t adapter) {
  auto slot = std::ranges::find(slots_, adapter, &Slot::adapter);
  if (slot == slots_.end()) {
    slot = std::ranges::find(slots_, abi::kNoAdapter, &Slot::adapter);
    if (slot == slots_.end()) slot = std::ranges::min_element(slots_, {}, &Slot::last_step);
    slot->adapter = abi::kNoAdapter;  // until it is whole
    write(static_cast<uint32_t>(slot - slots_.begin()), adapters_[adapter]);
    slot->adapter = adapter;
  }
  slot->last_step = steps_;
  return *slot;
}

void AdapterPool::write(uint32_t slot, const NamedAdapter& adapter) {
  for (const AdapterLoad& layer : model_.adapters) {
    const std::optional<LowRankMatrices> matrices = adapter.source->read(layer.module);
    if (matrices && matrices->rank > 0) write_layer(slot, layer, *matrices, adapter.name);
    if (layer.vectors) write_vectors(slot, layer, matrices.value_or(LowRankMatrices{}));
    const int32_t rank = matrices ? static_cast<int32_t>(matrices->rank) : 0;
    write_part(layer.ranks, slot, std::as_bytes(std::span(&rank, 1)));
  }
}

// An adapter without them leaves y as it is: y + (0 y - 0) is y to the last bit.
void AdapterPool::write_vectors(uint32_t slot, const AdapterLoad& layer,
                                const LowRankMatrices& matrices) {
  const std::vector<uint32_t>& order = model_.graph.tensors[layer.b].column_order;
  std::vector<float> values(size_t{2} * layer.cols);
  for (uint32_t n = 0; n < layer.cols; ++n) {
    const size_t row = layer.first_col + (order.empty() ? n : order[n]);
    values[n] = matrices.gain.empty() ? 0.0f : matrices.gain[row];
    values[layer.cols + n] = matrices.shift.empty() ? -0.0f : matrices.shift[row];
  }
  write_part(*layer.vectors, slot, std::as_bytes(std::span(values)));
}

void AdapterPool::write_part(TensorId tensor, uint32_t slot, std::span<const std::byte> bytes) {
  const GraphTensor& t = model_.graph.tensors[tensor];
  abi::Slice to = t.at;
  to.offset += uint64_t{slot} * bytes.size();
  to.bytes = bytes.size();
  check(device_.write(to, bytes), t.name);
}

// In the layout that AdapterLoad describes.
void AdapterPool::write_layer(uint32_t slot, const AdapterLoad& layer,
                              const LowRankMatrices& matrices, std::string_view adapter) {
  const GraphTensor &a = model_.graph.tensors[layer.a], &b = model_.graph.tensors[layer.b];
  const uint32_t depth = a.dims[1], cap = a.dims[2], stride = b.dims[2], rank = matrices.rank;
  const auto in = [](std::span<const uint32_t> order, uint32_t i) {
    return order.empty() ? i : order[i];
  };
  std::vector<float> values(size_t{depth} * cap);
  for (uint32_t i = 0; i < rank; ++i)
    for (uint32_t k = 0; k < depth; ++k)
      values[size_t{k} * cap + i] = matrices.a[size_t{i} * depth + in(layer.row_order, k)];
  write_part(layer.a, slot, to_f16(values, adapter, layer.module));

  values.assign(size_t{cap} * stride, 0);
  for (uint32_t n = 0; n < layer.cols; ++n) {
    const size_t row = layer.first_col + in(b.column_order, n);
    for (uint32_t i = 0; i < rank; ++i) values[size_t{i} * stride + n] = matrices.b[row * rank + i];
  }
  write_part(layer.b, slot, to_f16(values, adapter, layer.module));
}

}  // namespace ropewalk
