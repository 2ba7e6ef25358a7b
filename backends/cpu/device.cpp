#include "backends/cpu/device.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "backends/cpu/claim.h"
#include "backends/cpu/machine.h"
#include "backends/cpu/measure.h"
#include "backends/cpu/pack.h"
#include "core/abi/batch_invariance.h"
#include "core/abi/guard.h"

namespace ropewalk::cpu {

abi::DeviceInfo describe(const DeviceOptions& options) {
  abi::DeviceInfo info{};
  std::snprintf(info.name, sizeof info.name, "%s", processor_name().c_str());
  std::snprintf(info.driver, sizeof info.driver, "%s", options.kernels->name);
  if (std::string_view(options.kernels->name).starts_with("baseline"))
    std::snprintf(info.missing, sizeof info.missing, "wide vector instructions");
  info.type = abi::DeviceType::cpu;
  info.memory_total = memory_total();
  info.memory_free = memory_free();
  info.activation = abi::DType::f32;
  info.kv_types = 1u << static_cast<uint32_t>(abi::DType::f16) |
                  1u << static_cast<uint32_t>(abi::DType::f32) |
                  1u << static_cast<uint32_t>(abi::DType::i8);
  info.max_rows = 512;
  info.lanes = options.threads;
  return info;
}

Device::Device(const DeviceOptions& options)
    : kernels_(*options.kernels), pool_(options.threads), info_(describe(options)) {
  info_.lanes = pool_.lanes();
}

abi::Status Device::allocate(abi::Arena, uint64_t bytes, abi::Buffer* buffer) noexcept {
  return abi::guard([&] { *buffer = memory_.allocate(bytes); });
}

void Device::free(abi::Buffer buffer) noexcept { memory_.free(buffer); }

abi::Status Device::write(abi::Slice to, std::span<const std::byte> from) noexcept {
  return abi::guard([&] { std::memcpy(memory_.address(to), from.data(), to.bytes); });
}

abi::Status Device::read(std::span<std::byte> to, abi::Slice from) noexcept {
  return abi::guard([&] { std::memcpy(to.data(), memory_.address(from), from.bytes); });
}

abi::Status Device::packed_bytes(const abi::Weight& weight, uint64_t* bytes) noexcept {
  return abi::guard([&] { *bytes = PackedShape(packed_header(weight)).total_bytes; });
}

// 96 MiB: one weight of a 13B model is read while another is packed.
abi::Status Device::open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept {
  return abi::guard([&] {
    const uint64_t bytes = std::min(wanted, uint64_t{96} << 20);
    staging_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    *memory = {staging_.get(), bytes};
  });
}

abi::Status Device::pack(const abi::Weight& weight, abi::Slice to) noexcept {
  return abi::guard([&] { cpu::pack(weight, {memory_.address(to), to.bytes}, pool_); });
}

abi::Status Device::claim(const abi::Graph& graph, abi::ClaimSink& sink) noexcept {
  return abi::guard([&] { claim_all(graph, sink); });
}

abi::Status Device::workspace_bytes(const abi::CompileRequest& request, uint64_t* bytes) noexcept {
  return abi::guard([&] {
    *bytes = cpu::workspace_bytes(request, {memory_, pool_, kernels_, timer_});
  });
}

abi::Status Device::compile(const abi::CompileRequest& request, abi::Program** program) noexcept {
  return abi::guard([&] { *program = new Program(request, {memory_, pool_, kernels_, timer_}); });
}

abi::Status Device::measure(abi::Measurement what, double* value) noexcept {
  return abi::guard([&] { *value = cpu::measure(what, pool_, kernels_); });
}

abi::Status Device::extension(std::string_view name, void** interface) noexcept {
  if (name == abi::kStepTiming) {
    *interface = static_cast<abi::StepTiming*>(&timer_);
    return {};
  }
  if (name == abi::kBatchInvariance) {
    static abi::BatchInvariance promise{""};
    *interface = &promise;
    return {};
  }
  return abi::fail(abi::StatusCode::unsupported,
                   "the cpu backend has no extension " + std::string(name.substr(0, 60)));
}

}  // namespace ropewalk::cpu
