// refusals.h — why there is no CUDA device, or why one cannot be used, in words. Facts in, words
// out: tested without a driver. Stateless.
#pragma once

#include <cstdint>
#include <string>

namespace ropewalk::cuda {

// The least compute capability that kernels are built for.
inline constexpr int kLeastMajor = 7, kLeastMinor = 5;

enum class DriverState { works, missing, too_old, shows_none, broken };

struct DriverFacts {
  DriverState state = DriverState::works;
  int supports = 0, needs = 0;    // versions of CUDA as cudart counts them, 13000 for 13.0
  const char* visible = nullptr;  // CUDA_VISIBLE_DEVICES, null where it is not set
  std::string error = {};         // of one that is missing or broken
};

enum class DeviceState { works, busy, broken };

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  DeviceState state = DeviceState::works;
  std::string error = {};  // of one that is broken
};

// 13000 is "13.0".
std::string version_words(int version);

// Each is empty where there is nothing to refuse.
std::string driver_refusal(const DriverFacts& facts);
std::string index_refusal(uint32_t index, uint32_t count);
std::string device_refusal(const DeviceFacts& facts);
// `built_for` as "75, 90"; `error` is what looking for a kernel gave.
std::string kernels_refusal(const std::string& device, const std::string& built_for,
                            const std::string& error);

}  // namespace ropewalk::cuda
