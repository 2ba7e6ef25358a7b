// refusals.h — messages that say why there is no CUDA device, or why one cannot be used. They are
// functions of facts, so that they can be tested without a driver. Stateless.
#pragma once

#include <cstdint>
#include <string>

namespace ropewalk::cuda {

// The min compute capability that kernels are built for.
inline constexpr int kMinMajor = 7, kMinMinor = 5;

enum class DriverState { works, missing, too_old, shows_none, broken };

struct DriverFacts {
  DriverState state = DriverState::works;
  int supports = 0, needs = 0;    // versions of CUDA as cudart counts them, 13000 for 13.0
  const char* visible = nullptr;  // CUDA_VISIBLE_DEVICES, null where it is not set
  std::string error = {};         // why it is missing or broken
};

enum class DeviceState { works, busy, broken };

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  DeviceState state = DeviceState::works;
  std::string error = {};  // why it is broken
};

// 13000 is "13.0".
std::string version_words(int version);

// Each returns an empty text where there is nothing to refuse.
std::string driver_refusal(const DriverFacts& facts);
std::string index_refusal(uint32_t index, uint32_t count);
std::string device_refusal(const DeviceFacts& facts);
// `built_for` reads like "75, 90"; `error` is why no kernel was found.
std::string kernels_refusal(const std::string& device, const std::string& built_for,
                            const std::string& error);

}  // namespace ropewalk::cuda
