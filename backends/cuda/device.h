// device.h — an opened CUDA device behind the ABI: its memory, its weights.
//
// Calls come from one thread at a time, as backend.h says. Every call on a lost device answers
// device_lost.
#pragma once

#include "backends/cuda/program/program.h"
#include "backends/cuda/quantize/solver.h"
#include "core/abi/largest_logits.h"
#include "core/abi/random_fill.h"

namespace ropewalk::cuda {

class Device final : public abi::Device, public abi::RandomFill, public abi::LargestLogits {
 public:
  // Throws Failure (no_device).
  Device(uint32_t index, const Options& options)
      : options_(options),
        context_(index, options.step_limit_ms, options.choices.tuning),
        memory_(context_),
        shared_(context_),
        solver_(context_, memory_, shared_) {}
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const abi::DeviceInfo& info() const noexcept override { return context_.info(); }

  abi::Status allocate(abi::Arena arena, uint64_t bytes, abi::Buffer* buffer) noexcept override;
  void free(abi::Buffer buffer) noexcept override;
  abi::Status write(abi::Slice to, std::span<const std::byte> from) noexcept override;
  abi::Status read(std::span<std::byte> to, abi::Slice from) noexcept override;

  abi::Status packed_bytes(const abi::Weight& weight, uint64_t* bytes) noexcept override;
  abi::Status open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept override;
  void close_staging() noexcept override;
  abi::Status pack(const abi::Weight& weight, abi::Slice to) noexcept override;

  abi::Status claim(const abi::Graph& graph, abi::ClaimSink& sink) noexcept override;
  abi::Status workspace_bytes(const abi::CompileRequest& request,
                              uint64_t* bytes) noexcept override;
  abi::Status compile(const abi::CompileRequest& request, abi::Program** program) noexcept override;
  abi::Status wait() noexcept override;

  abi::Status measure(abi::Measurement what, double* value) noexcept override;
  // abi::kRandomFill, abi::kStepTiming, abi::kBatchInvariance; with Options::logits also
  // abi::kLargestLogits, and where cuBLAS is found abi::kQuantize.
  abi::Status extension(std::string_view name, void** interface) noexcept override;
  abi::Status fill(abi::Slice to, uint32_t seed) noexcept override;
  abi::Status largest_logits(std::span<int32_t> ids) noexcept override;
  void release() noexcept override { delete this; }

 private:
  // guard() for calls that touch the device: makes it current first.
  template <class Body>
  abi::Status on_device(Body&& body) noexcept {
    return abi::guard([&] {
      context_.enter();
      body();
    });
  }

  DeviceParts parts() { return {context_, memory_, weights_, shared_, options_, timer_}; }

  const Options options_;
  Context context_;
  Memory memory_;
  PackedWeights weights_;
  SharedResources shared_;
  QuantizeSolver solver_;
  abi::StepTimer<Program> timer_;
};

}  // namespace ropewalk::cuda
