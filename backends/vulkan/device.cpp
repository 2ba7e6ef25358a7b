#include "backends/vulkan/device.h"

#include <algorithm>
#include <string>

#include "backends/vulkan/program/claim.h"
#include "backends/vulkan/program/fusions.h"
#include "backends/vulkan/program/measure.h"
#include "core/abi/batch_invariance.h"

namespace ropewalk::vulkan {
namespace {

abi::BatchInvariance g_kept{""};
abi::BatchInvariance g_broken{
    "without its option batch-invariant the number of rows in a step chooses the kernels"};

// As the shaders of few rows read them.
Zeros zeros_of(const Features& features) {
  return features.integer_dot ? Zeros::packed : Zeros::with_scales;
}

}  // namespace

Device::Device(std::shared_ptr<Instance> instance, VkPhysicalDevice physical,
               const Options& options)
    : context_(std::move(instance), physical, options),
      memory_(context_),
      pipelines_(context_),
      counters_(memory_) {}

// A device with work under way is not torn down; what never ends loses the device and leaks.
Device::~Device() {
  if (!context_.alive()) return;
  static_cast<void>(abi::guard([&] { context_.wait_for_all(); }));
}

abi::Status Device::allocate(abi::Arena, uint64_t bytes, abi::Buffer* buffer) noexcept {
  return on_device([&] { *buffer = memory_.allocate(bytes); });
}

void Device::free(abi::Buffer buffer) noexcept {
  weights_.forget(buffer);
  static_cast<void>(on_device([&] { memory_.free(buffer); }));
}

abi::Status Device::write(abi::Slice to, std::span<const std::byte> from) noexcept {
  return on_device([&] { memory_.write(to, from); });
}

abi::Status Device::read(std::span<std::byte> to, abi::Slice from) noexcept {
  return on_device([&] { memory_.read(to, from); });
}

abi::Status Device::packed_bytes(const abi::Weight& weight, uint64_t* bytes) noexcept {
  return abi::guard([&] { *bytes = packed_shape(weight, zeros_of(context_.features())).bytes; });
}

abi::Status Device::open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept {
  return abi::guard([&] {
    const uint64_t bytes = std::min(wanted, Memory::kReadingBytes);
    reading_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    *memory = {reading_.get(), bytes};
  });
}

abi::Status Device::pack(const abi::Weight& weight, abi::Slice to) noexcept {
  return on_device([&] {
    const PackedShape shape = packed_shape(weight, zeros_of(context_.features()));
    vulkan::pack(weight, shape, to, memory_);
    weights_.add(to, weight, shape);
  });
}

abi::Status Device::claim(const abi::Graph& graph, abi::ClaimSink& sink) noexcept {
  return on_device([&] {
    claim_all(graph, sink);
    for (const Fusion& fusion : find_fusions(graph, context_.features()))
      sink.claim({fusion.nodes, fusion.hidden, fusion.gain_us});
  });
}

abi::Status Device::workspace_bytes(const abi::CompileRequest& request, uint64_t* bytes) noexcept {
  return on_device([&] { *bytes = vulkan::workspace_bytes(request, context_.features()); });
}

abi::Status Device::compile(const abi::CompileRequest& request, abi::Program** program) noexcept {
  return on_device([&] {
    *program = new Program(
        request, {context_, memory_, pipelines_, weights_, counters_, timer_, last_counts_});
    pipelines_.save();
  });
}

abi::Status Device::wait() noexcept {
  return on_device([&] { context_.wait_for_all(); });
}

abi::Status Device::measure(abi::Measurement what, double* value) noexcept {
  return on_device([&] { *value = vulkan::measure(what, context_, memory_, pipelines_); });
}

abi::Status Device::extension(std::string_view name, void** interface) noexcept {
  if (name == abi::kStepTiming) {
    if (context_.features().timestamps.bits == 0)
      return abi::fail(abi::StatusCode::unsupported,
                       std::string("the queue of ") + info().name + " has no timestamps");
    *interface = static_cast<abi::StepTiming*>(&timer_);
    return {};
  }
  if (name == abi::kBatchInvariance) {
    *interface = context_.features().batch_invariant ? &g_kept : &g_broken;
    return {};
  }
  if (name == abi::kStepCounts) {
    *interface = static_cast<abi::StepCounting*>(this);
    return {};
  }
  return abi::fail(abi::StatusCode::unsupported,
                   "the vulkan backend has no extension " + std::string(name.substr(0, 60)));
}

}  // namespace ropewalk::vulkan
