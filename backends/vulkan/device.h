// device.h — an opened Vulkan device behind the ABI: its memory, its pipelines, its weights.
//
// Calls come from one thread at a time, as backend.h says. Every call on a lost device answers
// device_lost.
#pragma once

#include <memory>

#include "backends/vulkan/device/context.h"
#include "backends/vulkan/device/memory.h"
#include "backends/vulkan/program/counters.h"
#include "backends/vulkan/program/pipelines.h"
#include "backends/vulkan/program/program.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

class Device final : public abi::Device, public abi::StepCounting {
 public:
  // Throws Failure (no_device).
  Device(std::shared_ptr<Instance> instance, VkPhysicalDevice physical, const Options& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const abi::DeviceInfo& info() const noexcept override { return context_.features().info; }

  abi::Status allocate(abi::Arena arena, uint64_t bytes, abi::Buffer* buffer) noexcept override;
  void free(abi::Buffer buffer) noexcept override;
  abi::Status write(abi::Slice to, std::span<const std::byte> from) noexcept override;
  abi::Status read(std::span<std::byte> to, abi::Slice from) noexcept override;

  abi::Status packed_bytes(const abi::Weight& weight, uint64_t* bytes) noexcept override;
  abi::Status open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept override;
  void close_staging() noexcept override { reading_.reset(); }
  abi::Status pack(const abi::Weight& weight, abi::Slice to) noexcept override;

  abi::Status claim(const abi::Graph& graph, abi::ClaimSink& sink) noexcept override;
  abi::Status workspace_bytes(const abi::CompileRequest& request,
                              uint64_t* bytes) noexcept override;
  abi::Status compile(const abi::CompileRequest& request, abi::Program** program) noexcept override;
  abi::Status wait() noexcept override;

  abi::Status measure(abi::Measurement what, double* value) noexcept override;
  // abi::kStepTiming where the queue has timestamps, abi::kStepCounts.
  abi::Status extension(std::string_view name, void** interface) noexcept override;
  abi::Status last_step(abi::StepCounts* counts) noexcept override {
    *counts = last_counts_;
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  // guard() for calls that touch the device, with the validation layer's word at the end.
  template <class Body>
  abi::Status on_device(Body&& body) noexcept {
    return abi::guard([&] {
      context_.require_alive();
      body();
      context_.instance().require_valid();
    });
  }

  Context context_;
  Memory memory_;
  std::unique_ptr<std::byte[]> reading_;  // what weights are read into
  Pipelines pipelines_;
  PackedWeights weights_;
  Counters counters_;
  abi::StepTimer<Program> timer_;
  abi::StepCounts last_counts_;
};

}  // namespace ropewalk::vulkan
