// device.h — the processor as a device behind the ABI: its memory and its threads.
//
// Calls come from one thread at a time, as backend.h says; the device's own threads run only inside
// a call.
#pragma once

#include <memory>

#include "backends/cpu/memory.h"
#include "backends/cpu/pool.h"
#include "backends/cpu/program.h"
#include "core/abi/backend.h"

namespace ropewalk::cpu {

struct DeviceOptions {
  uint32_t threads;
  const Kernels* kernels;
};

abi::DeviceInfo describe(const DeviceOptions& options);

class Device final : public abi::Device {
 public:
  explicit Device(const DeviceOptions& options);

  const abi::DeviceInfo& info() const noexcept override { return info_; }

  abi::Status allocate(abi::Arena arena, uint64_t bytes, abi::Buffer* buffer) noexcept override;
  void free(abi::Buffer buffer) noexcept override;
  abi::Status write(abi::Slice to, std::span<const std::byte> from) noexcept override;
  abi::Status read(std::span<std::byte> to, abi::Slice from) noexcept override;

  abi::Status packed_bytes(const abi::Weight& weight, uint64_t* bytes) noexcept override;
  abi::Status open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept override;
  void close_staging() noexcept override { staging_.reset(); }
  abi::Status pack(const abi::Weight& weight, abi::Slice to) noexcept override;

  abi::Status claim(const abi::Graph& graph, abi::ClaimSink& sink) noexcept override;
  abi::Status workspace_bytes(const abi::CompileRequest& request,
                              uint64_t* bytes) noexcept override;
  abi::Status compile(const abi::CompileRequest& request, abi::Program** program) noexcept override;
  // enqueue() has run the step and reported its failures.
  abi::Status wait() noexcept override { return {}; }

  abi::Status measure(abi::Measurement what, double* value) noexcept override;
  abi::Status extension(std::string_view name, void** interface) noexcept override;
  void release() noexcept override { delete this; }

 private:
  const Kernels& kernels_;
  Memory memory_;
  std::unique_ptr<std::byte[]> staging_;
  Pool pool_;
  abi::DeviceInfo info_;
  abi::StepTimer<Program> timer_;
};

}  // namespace ropewalk::cpu
