#include "backends/cuda/device/refusals.h"

namespace ropewalk::cuda {

std::string version_words(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string driver_refusal(const DriverFacts& facts) {
  switch (facts.state) {
    case DriverState::works:
      return "";
    case DriverState::missing:
      return "no NVIDIA driver (" + facts.error +
             "); install it, or pass the GPU on to the container";
    case DriverState::too_old:
      return "the NVIDIA driver is too old: it supports CUDA " + version_words(facts.supports) +
             ", this build needs " + version_words(facts.needs) +
             "; update the driver, or build with an older toolkit";
    case DriverState::shows_none:
      return facts.visible
                 ? "no CUDA device is visible: CUDA_VISIBLE_DEVICES is \"" +
                       std::string(facts.visible).substr(0, 60) + "\"; unset it to see all devices"
                 : "the NVIDIA driver shows no device; see nvidia-smi";
    case DriverState::broken:
      return "the NVIDIA driver does not start: " + facts.error + "; see nvidia-smi";
  }
  return "";
}

std::string index_refusal(uint32_t index, uint32_t count) {
  if (index < count) return "";
  return "device " + std::to_string(index) + " does not exist, found " + std::to_string(count);
}

std::string device_refusal(const DeviceFacts& facts) {
  switch (facts.state) {
    case DeviceState::works:
      break;
    case DeviceState::busy:
      return facts.name + " is busy: another process holds it exclusively; see nvidia-smi";
    case DeviceState::broken:
      return facts.name + " does not start: " + facts.error + "; see nvidia-smi";
  }
  if (facts.major * 10 + facts.minor < kMinMajor * 10 + kMinMinor)
    return facts.name + " has compute capability " + std::to_string(facts.major) + "." +
           std::to_string(facts.minor) + ", this backend needs " + std::to_string(kMinMajor) + "." +
           std::to_string(kMinMinor) + "; use --backend vulkan or cpu";
  return "";
}

std::string kernels_refusal(const std::string& device, const std::string& built_for,
                            const std::string& error) {
  if (error.empty()) return "";
  return device + ": this build has no kernels for it (it was built for " + built_for +
         "): " + error + "; configure with ROPEWALK_CUDA_ARCHITECTURES=native on this machine";
}

}  // namespace ropewalk::cuda
