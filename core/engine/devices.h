// devices.h — which backend and device a run uses, and why not the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/abi/backend.h"
#include "core/config/config.h"
#include "core/modules/registry.h"

namespace ropewalk {

struct OpenDevice {
  std::string backend;  // "cpu"
  uint32_t index = 0;   // among the backend's devices
  Owned<abi::Backend> owner;
  Owned<abi::Device> device;  // dies before its backend
  std::string passed_over;    // by auto: the backends that it could not take, and why
  bool automatic = false;     // auto chose it

  std::string name() const;  // "cpu: AMD EPYC 9654"
  // Empty where a row's logits do not depend on the rows that share its step; otherwise why they
  // may (core/abi/batch_invariance.h).
  std::string batch_dependence() const;
};

// The configured backend, or for `auto` the first usable of ROPEWALK_AUTO_BACKENDS
// (CMakeLists.txt). Within a backend: the configured device, else discrete before integrated before
// virtual before the rest. Throws Error: no_device with the backend's reason, plugin where its
// library is missing.
OpenDevice open_device(Registry& registry, const BackendConfig& config);

// A note of what auto took and why it passed the others over; nothing where the backend was named.
void tell_of_device(const OpenDevice& device);

struct DeviceListing {
  std::string backend;
  uint32_t index = 0;
  bool usable = false;
  std::string reason;      // why not; empty where usable
  abi::DeviceInfo info{};  // what is known
};

// Every device of our backends and of the configured one, for `ropewalk devices`; a backend without
// devices has one entry. Throws Error for a name that no backend has.
std::vector<DeviceListing> list_devices(Registry& registry, const BackendConfig& config);

std::string_view device_type_name(abi::DeviceType type);

}  // namespace ropewalk
