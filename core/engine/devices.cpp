#include "core/engine/devices.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "core/abi/batch_invariance.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/nearest.h"

namespace ropewalk {
namespace {

// The backends that `auto` tries, in order. The last may run on any device, the others only on a
// GPU.
constexpr std::string_view kAutoOrder[] = {RW_AUTO_BACKENDS};

// "cuda: no nvcc": backends that were not built, and why. May be one empty text.
constexpr std::string_view kLeftOut[] = {RW_LEFT_OUT};

std::string why_not_built(std::string_view backend) {
  for (const std::string_view entry : kLeftOut)
    if (entry.starts_with(backend) && entry.substr(backend.size()).starts_with(": "))
      return fmt::format("not built: {}", entry.substr(backend.size() + 2));
  return "not built";
}

// What other programs have, and what runs there instead.
struct ForeignBackend {
  std::string_view name, advice;
};
constexpr std::string_view kAmd = "AMD's GPUs run with --backend vulkan";
constexpr ForeignBackend kForeignBackends[] = {
    {"gpu", "Write auto, which takes a GPU where one can be used"},
    {"nvidia", "NVIDIA's GPUs run with --backend cuda"},
    {"rocm", kAmd},
    {"hip", kAmd},
    {"opencl", "GPUs without CUDA run with --backend vulkan"},
    {"metal", "There is none for Apple's GPUs: --backend cpu runs everywhere"},
    {"mps", "There is none for Apple's GPUs: --backend cpu runs everywhere"},
};

// Throws where the named backend is one that was not built, or close to the name of one of ours.
void refuse_unbuilt(Registry& registry, const PluginChoice& choice) {
  if (registry.find_if_present(abi::ModuleKind::backend, choice.name)) return;
  const std::vector<std::string> ours(std::begin(kAutoOrder), std::end(kAutoOrder));
  if (std::ranges::find(ours, choice.name) != ours.end())
    throw Error(ExitCode::plugin, choice.where.text(),
                fmt::format("the backend {} was {}", choice.name, why_not_built(choice.name)),
                "Install what is missing, and configure and build again; or use --backend auto");
  const auto foreign = std::ranges::find(kForeignBackends, choice.name, &ForeignBackend::name);
  const std::string near = nearest(choice.name, ours);
  if (foreign == std::end(kForeignBackends) && near.empty()) return;
  throw Error(ExitCode::plugin, choice.where.text(),
              fmt::format("found no backend called {}", printable(choice.name)),
              foreign != std::end(kForeignBackends) ? std::string(foreign->advice)
                                                    : fmt::format("Did you mean {}", near));
}

bool is_gpu(abi::DeviceType type) {
  return type == abi::DeviceType::discrete || type == abi::DeviceType::integrated ||
         type == abi::DeviceType::virtual_gpu;
}

int preference(abi::DeviceType type) {
  switch (type) {
    case abi::DeviceType::discrete:
      return 0;
    case abi::DeviceType::integrated:
      return 1;
    case abi::DeviceType::virtual_gpu:
      return 2;
    default:
      return 3;
  }
}

// Options in the configuration belong to the backend that it names; under `auto`, to each backend
// that declares them.
PluginChoice choice_for(const BackendConfig& config, std::string_view backend) {
  PluginChoice choice = config.plugin;
  choice.name = backend;
  if (config.plugin.name == "auto") choice.options.clear();
  return choice;
}

std::vector<DeviceListing> list_backend(abi::Backend& backend, std::string_view name) {
  uint32_t count = 0;
  if (const abi::Status status = backend.device_count(&count); !status.ok() || count == 0) {
    DeviceListing none;
    none.backend = name;
    none.reason = status.ok() ? "no device found" : status.message;
    return {none};
  }
  std::vector<DeviceListing> devices(count);
  for (uint32_t i = 0; i < count; ++i) {
    devices[i].backend = name;
    devices[i].index = i;
    const abi::Status status = backend.describe(i, &devices[i].info);
    devices[i].usable = status.ok();
    devices[i].reason = status.message;
  }
  return devices;
}

// The device to open, or why there is none: a wrong index, or every device's reason.
struct Pick {
  std::optional<DeviceListing> device;
  std::string reason;
};

Pick pick_device(const std::vector<DeviceListing>& devices, std::optional<uint32_t> index,
                 bool gpu_only) {
  if (index) {
    if (*index >= devices.size()) {
      return {std::nullopt,
              fmt::format("device {} does not exist, found {}", *index, devices.size())};
    }
    const DeviceListing& device = devices[*index];
    if (!device.usable) return {std::nullopt, device.reason};
    return {device, ""};
  }
  std::vector<std::string> reasons;
  const DeviceListing* best = nullptr;
  for (const DeviceListing& device : devices) {
    if (!device.usable) {
      reasons.push_back(device.reason);
    } else if (gpu_only && !is_gpu(device.info.type)) {
      reasons.push_back(fmt::format("{} is only a {} device", device.info.name,
                                    device_type_name(device.info.type)));
    } else if (!best || preference(device.info.type) < preference(best->info.type)) {
      best = &device;
    }
  }
  if (best) return {*best, ""};
  return {std::nullopt, fmt::format("{}", fmt::join(reasons, "; "))};
}

OpenDevice open(const Library& library, const PluginChoice& choice, const Pick& pick,
                Owned<abi::Backend> backend) {
  OpenDevice opened;
  opened.backend = choice.name;
  opened.index = pick.device->index;
  opened.owner = std::move(backend);
  abi::Device* device = nullptr;
  check(opened.owner->open(opened.index, &device), library.file().filename().string() + ": open");
  opened.device.reset(device);
  return opened;
}

OpenDevice open_named(Registry& registry, const BackendConfig& config) {
  refuse_unbuilt(registry, config.plugin);
  const Library& library = registry.find_choice(abi::ModuleKind::backend, config.plugin);
  const PluginChoice choice = choice_for(config, config.plugin.name);
  Owned<abi::Backend> backend = library.create<abi::Backend>(choice, nullptr);
  const Pick pick = pick_device(list_backend(*backend, choice.name), config.device, false);
  if (!pick.device) {
    throw Error(ExitCode::no_device, "backend " + choice.name, pick.reason,
                "See `ropewalk devices`, or use --backend auto");
  }
  return open(library, choice, pick, std::move(backend));
}

OpenDevice open_auto(Registry& registry, const BackendConfig& config) {
  std::vector<std::string> passed;  // "cuda: no driver"
  for (const std::string_view name : kAutoOrder) {
    const bool last = name == *std::rbegin(kAutoOrder);
    std::string reason;
    try {
      const Library* library = registry.find_if_present(abi::ModuleKind::backend, name);
      if (!library) {
        reason = why_not_built(name);
      } else {
        const PluginChoice choice = choice_for(config, name);
        Owned<abi::Backend> backend = library->create<abi::Backend>(choice, nullptr);
        const Pick pick = pick_device(list_backend(*backend, name), std::nullopt, !last);
        if (pick.device) {
          OpenDevice opened = open(*library, choice, pick, std::move(backend));
          opened.passed_over = fmt::format("{}", fmt::join(passed, "; "));
          opened.automatic = true;
          return opened;
        }
        reason = pick.reason;
      }
    } catch (const Error& error) {
      reason = error.what();
    }
    passed.push_back(fmt::format("no {}: {}", name, reason));
  }
  throw Error(ExitCode::no_device, "backend auto", fmt::format("{}", fmt::join(passed, "; ")),
              "See `ropewalk devices`");
}

}  // namespace

std::string OpenDevice::name() const { return fmt::format("{}: {}", backend, device->info().name); }

std::string OpenDevice::batch_dependence() const {
  void* interface = nullptr;
  if (!device->extension(abi::kBatchInvariance, &interface).ok())
    return "its backend does not say that they do not";
  return std::string(static_cast<const abi::BatchInvariance*>(interface)->broken_by);
}

OpenDevice open_device(Registry& registry, const BackendConfig& config) {
  return config.plugin.name == "auto" ? open_auto(registry, config) : open_named(registry, config);
}

void tell_of_device(const OpenDevice& device) {
  if (!device.automatic) return;
  const std::string& passed = device.passed_over;
  note(fmt::format("backend {}{}", device.name(), passed.empty() ? "" : " (" + passed + ")"));
}

std::vector<DeviceListing> list_devices(Registry& registry, const BackendConfig& config) {
  std::vector<DeviceListing> all;
  const auto list = [&](const Library& library, std::string_view name) {
    const auto backend = library.create<abi::Backend>(choice_for(config, name), nullptr);
    for (DeviceListing& device : list_backend(*backend, name)) all.push_back(std::move(device));
  };
  const std::string& named = config.plugin.name;
  if (named != "auto" && std::ranges::find(kAutoOrder, named) == std::end(kAutoOrder))
    list(registry.find_choice(abi::ModuleKind::backend, config.plugin), named);
  for (const std::string_view name : kAutoOrder) {
    try {
      const Library* library = registry.find_if_present(abi::ModuleKind::backend, name);
      if (library)
        list(*library, name);
      else
        all.push_back({std::string(name), 0, false, why_not_built(name), {}});
    } catch (const Error& error) {
      all.push_back({std::string(name), 0, false, error.what(), {}});
    }
  }
  return all;
}

std::string_view device_type_name(abi::DeviceType type) {
  switch (type) {
    case abi::DeviceType::cpu:
      return "cpu";
    case abi::DeviceType::integrated:
      return "integrated";
    case abi::DeviceType::discrete:
      return "discrete";
    case abi::DeviceType::virtual_gpu:
      return "virtual";
    case abi::DeviceType::software:
      return "software";
  }
  return "unknown";
}

}  // namespace ropewalk
