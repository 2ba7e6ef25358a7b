#include "backends/cuda/device.h"

#include <string>

#include "backends/cuda/program/claim.h"
#include "backends/cuda/program/fusions.h"
#include "backends/cuda/program/measure.h"
#include "backends/cuda/program/program.h"
#include "core/abi/batch_invariance.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

abi::BatchInvariance g_kept{""};
abi::BatchInvariance g_broken{
    "without its option batch-invariant the number of rows in a step chooses the kernels"};

}  // namespace

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
  return abi::guard([&] { *bytes = cuda::packed_bytes(weight); });
}

abi::Status Device::open_staging(uint64_t wanted, std::span<std::byte>* memory) noexcept {
  return on_device([&] { *memory = memory_.open_staging(wanted); });
}

void Device::close_staging() noexcept {
  static_cast<void>(on_device([&] { memory_.close_staging(); }));
}

abi::Status Device::pack(const abi::Weight& weight, abi::Slice to) noexcept {
  return on_device([&] { weights_.add(to, weight, cuda::pack(weight, to, memory_, context_)); });
}

abi::Status Device::claim(const abi::Graph& graph, abi::ClaimSink& sink) noexcept {
  return on_device([&] {
    claim_all(graph, sink);
    claim_fusions(graph, options_.choices.batches, sink);
  });
}

abi::Status Device::workspace_bytes(const abi::CompileRequest& request, uint64_t* bytes) noexcept {
  return on_device([&] { *bytes = cuda::workspace_bytes(request, parts()); });
}

// All weights are packed before the first program is compiled.
abi::Status Device::compile(const abi::CompileRequest& request, abi::Program** program) noexcept {
  return on_device([&] {
    memory_.drop_packing_scratch();
    *program = new Program(request, parts());
  });
}

abi::Status Device::wait() noexcept {
  return on_device([&] { context_.wait(); });
}

abi::Status Device::measure(abi::Measurement what, double* value) noexcept {
  return on_device([&] { *value = cuda::measure(what, context_, memory_); });
}

abi::Status Device::extension(std::string_view name, void** interface) noexcept {
  if (name == abi::kRandomFill)
    *interface = static_cast<abi::RandomFill*>(this);
  else if (name == abi::kStepTiming)
    *interface = static_cast<abi::StepTiming*>(&timer_);
  else if (name == abi::kLargestLogits && options_.logits == LogitsOn::device)
    *interface = static_cast<abi::LargestLogits*>(this);
  else if (name == abi::kBatchInvariance)
    *interface = options_.choices.batches == Batches::invariant ? &g_kept : &g_broken;
  else if (name == abi::kQuantize && Cublas::missing().empty())
    *interface = static_cast<abi::QuantizeSolver*>(&solver_);
  else
    return abi::fail(abi::StatusCode::unsupported,
                     "the cuda backend has no extension " + std::string(name.substr(0, 60)));
  return abi::Status{};
}

abi::Status Device::fill(abi::Slice to, uint32_t seed) noexcept {
  return on_device([&] {
    if (to.offset % 16 || to.bytes % 16)
      throw abi::Failure(abi::StatusCode::invalid_argument,
                         "fill: offset and bytes must be multiples of 16");
    fill_random(memory_.address(to), to.bytes, seed, context_);
  });
}

abi::Status Device::largest_logits(std::span<int32_t> ids) noexcept {
  return on_device([&] {
    if (!shared_.maxima)
      throw abi::Failure(abi::StatusCode::invalid_argument, "the last step computed no logits");
    shared_.maxima->read(ids);
  });
}

}  // namespace ropewalk::cuda
