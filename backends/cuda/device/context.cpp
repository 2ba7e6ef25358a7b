#include "backends/cuda/device/context.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "backends/cuda/device/cublas.h"
#include "backends/cuda/device/driver.h"
#include "backends/cuda/device/probe.h"
#include "backends/cuda/device/refusals.h"
#include "backends/cuda/gptq/crossovers.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::Failure;
using abi::StatusCode;

void refuse_device(const std::string& reason) {
  if (!reason.empty()) throw Failure(StatusCode::no_device, reason);
}

std::string error_words(cudaError_t error) {
  return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
}

// Errors after which the context still works; all others count as sticky.
bool is_harmless(cudaError_t error) {
  const bool recording =
      error >= cudaErrorStreamCaptureUnsupported && error <= cudaErrorStreamCaptureWrongThread;
  return recording || error == cudaErrorMemoryAllocation || error == cudaErrorInvalidValue ||
         error == cudaErrorNotSupported || error == cudaErrorInvalidConfiguration ||
         error == cudaErrorLaunchOutOfResources;
}

// Truncates what does not fit.
template <size_t kSize>
void copy_text(const std::string& text, char (&to)[kSize]) {
  to[text.copy(to, kSize - 1)] = '\0';
}

void fill_info(const cudaDeviceProp& properties, abi::DeviceInfo* info) {
  copy_text(properties.name, info->name);
  copy_text("CUDA driver " + version_words(driver_version()) + ", runtime " +
                version_words(CUDART_VERSION) + ", sm_" + std::to_string(properties.major) +
                std::to_string(properties.minor),
            info->driver);
  const std::string missing = Cublas::missing();
  copy_text(missing.empty() ? "" : missing + "; prompts are slower without it", info->missing);
  info->type = properties.integrated ? abi::DeviceType::integrated : abi::DeviceType::discrete;
  info->memory_total = properties.totalGlobalMem;
  info->memory_free = 0;
  info->activation = abi::DType::f32;
  info->kv_types =
      1u << static_cast<uint32_t>(abi::DType::f16) | 1u << static_cast<uint32_t>(abi::DType::i8);
  info->max_rows = widest_step(static_cast<uint32_t>(properties.multiProcessorCount), Tuning{});
  info->lanes = static_cast<uint32_t>(properties.warpSize);
}

// Memory that no plan counts: kernels and cuBLAS once they are loaded, scratch for packing,
// recordings, and the rounding of allocations.
uint64_t reserve_of(uint64_t total) { return std::min(total / 64, uint64_t{512} << 20); }

}  // namespace

int driver_version() {
  int version = 0;
  static_cast<void>(cudaDriverGetVersion(&version));
  return version;
}

uint32_t count_devices() {
  DriverFacts facts{.needs = CUDART_VERSION, .visible = std::getenv("CUDA_VISIBLE_DEVICES")};
  int count = 0;
  facts.error = missing_driver();
  if (!facts.error.empty()) {
    facts.state = DriverState::missing;
  } else if (const cudaError_t error = cudaGetDeviceCount(&count);
             error == cudaErrorInsufficientDriver) {
    facts.state = DriverState::too_old;
    facts.supports = driver_version();
  } else if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    facts.state = DriverState::shows_none;
  } else if (error != cudaSuccess) {
    facts.state = DriverState::broken;
    facts.error = error_words(error);
  }
  refuse_device(driver_refusal(facts));
  return static_cast<uint32_t>(count);
}

void examine(uint32_t index, abi::DeviceInfo* info) {
  *info = {};
  refuse_device(index_refusal(index, count_devices()));
  cudaDeviceProp properties;
  const int device = static_cast<int>(index);
  DeviceFacts facts{.name = "device " + std::to_string(index)};
  cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error == cudaSuccess) {
    fill_info(properties, info);
    facts = {.name = info->name, .major = properties.major, .minor = properties.minor};
    refuse_device(device_refusal(facts));
    error = cudaSetDevice(device);
  }
  size_t free = 0, total = 0;
  if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
  if (error == cudaErrorDevicesUnavailable) facts.state = DeviceState::busy;
  if (error != cudaSuccess && facts.state != DeviceState::busy) {
    facts.state = DeviceState::broken;
    facts.error = error_words(error);
  }
  refuse_device(device_refusal(facts));
  info->memory_free = free - std::min<uint64_t>(free, reserve_of(total));
}

Context::Context(uint32_t index, uint64_t step_limit_ms, const Tuning& tuning)
    : step_limit_ms_(step_limit_ms), index_(static_cast<int>(index)) {
  examine(index, &info_);
  static_cast<void>(cudaGetLastError());  // else an error of earlier probing would seem a launch's
  if (const cudaError_t error = probe_kernels(); error != cudaSuccess)
    refuse_device(kernels_refusal(info_.name, ROPEWALK_CUDA_BUILT_FOR, error_words(error)));
  multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount, "multiprocessors");
  info_.max_rows = widest_step(multiprocessors_, tuning);
  cache_bytes_ = attribute(cudaDevAttrL2CacheSize, "the size of the cache");
  capability_ = attribute(cudaDevAttrComputeCapabilityMajor, "the compute capability") * 10 +
                attribute(cudaDevAttrComputeCapabilityMinor, "the compute capability");
  shared_bytes_ = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, "shared memory");
  for (cudaStream_t* stream : {&stream_, &side_stream_})
    check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "a stream");
}

uint32_t Context::attribute(cudaDeviceAttr which, const char* what) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, index_), what);
  return static_cast<uint32_t>(value);
}

// Waits for work under way. Work that never ends loses the device, which then leaks.
Context::~Context() {
  if (!abi::guard([&] {
         enter();
         wait();
       }).ok())
    return;
  static_cast<void>(cudaStreamDestroy(side_stream_));
  static_cast<void>(cudaStreamDestroy(stream_));
}

void Context::enter() {
  if (!alive()) throw Failure(StatusCode::device_lost, lost_);
  check(cudaSetDevice(index_), "the device");
}

void Context::check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const std::string message = std::string(what) + ": " + error_words(error);
  static_cast<void>(cudaGetLastError());
  if (error == cudaErrorMemoryAllocation) throw Failure(StatusCode::out_of_memory, message);
  if (is_harmless(error)) throw Failure(StatusCode::internal, message);
  lost_ = "the device " + std::string(info_.name) + " is lost: " + message;
  throw Failure(StatusCode::device_lost, lost_);
}

// Polls without sleeping at first, since a decode step ends within milliseconds.
void Context::wait() {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto limit = begin + std::chrono::milliseconds(step_limit_ms_);
  for (;;) {
    const cudaError_t error = cudaStreamQuery(stream_);
    if (error == cudaSuccess) return;
    if (error != cudaErrorNotReady) check(error, "a step");
    static_cast<void>(cudaGetLastError());  // else "not ready" would seem a launch's error
    const auto now = Clock::now();
    if (now > limit) {
      lost_ = "the device " + std::string(info_.name) + " is lost: a step has not ended after " +
              std::to_string(step_limit_ms_) + " ms";
      throw Failure(StatusCode::device_lost, lost_);
    }
    if (now - begin > std::chrono::milliseconds(50))
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

}  // namespace ropewalk::cuda
