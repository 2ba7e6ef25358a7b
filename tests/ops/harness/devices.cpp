#include "tests/ops/harness/devices.h"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <stdexcept>

#include "core/abi/plugin.h"

namespace ropewalk::test {
namespace {

using Settings = std::map<std::string, std::string>;

// All that a Vulkan device may lack; the separator is abi::kItemSeparator.
constexpr char kOptionalFeatures[] =
    "subgroup-shuffle\x1fsize-control\x1fmemory-budget\x1f"
    "float16\x1f"
    "16bit-storage\x1f"
    "int64\x1f"
    "subgroup-arithmetic\x1f"
    "memory-model\x1f"
    "f16-subnormals";

// Mesa compiles within the first submission: seconds, and more where others compile too.
const Settings::value_type kPatient = {"submit-limit-ms", "600000"};

struct Entry {
  std::string name;
  const abi::Module* module;
  Settings settings;
  uint32_t index;
  bool is_slow = false;  // of slow_device_names()
};

const abi::Module* load(const std::filesystem::path& file) {
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  const void* symbol = dlsym(library, "ropewalk_module");
  if (!symbol) throw std::runtime_error(file.string() + ": no ropewalk_module");
  return static_cast<const abi::Module*>(symbol);
}

// nullptr where the backend refuses its settings.
abi::Backend* create(const abi::Module& module, const Settings& settings) {
  std::vector<abi::OptionValue> values;
  for (uint32_t i = 0; i < module.option_count; ++i) {
    const abi::OptionInfo& option = module.options[i];
    const auto set = settings.find(option.name);
    if (set != settings.end())
      values.push_back({option.name, set->second});
    else if (option.default_value)
      values.push_back({option.name, option.default_value});
  }
  void* object = nullptr;
  if (!module.create({values, nullptr}, &object).ok()) return nullptr;
  return static_cast<abi::Backend*>(object);
}

void add_devices(const abi::Module* module, const std::string& name, const Settings& settings,
                 std::vector<Entry>& entries, bool is_slow = false) {
  abi::Backend* backend = create(*module, settings);
  if (!backend) return;
  uint32_t count = 0;
  if (!backend->device_count(&count).ok()) count = 0;
  for (uint32_t i = 0; i < count; ++i) {
    abi::DeviceInfo info{};
    if (backend->describe(i, &info).ok())
      entries.push_back({i ? name + "_" + std::to_string(i) : name, module, settings, i, is_slow});
  }
  backend->release();
}

// For a Vulkan device, with the loader that ROPEWALK_VULKAN_LOADER names.
Settings vulkan(Settings settings) {
  if (const char* loader = std::getenv("ROPEWALK_VULKAN_LOADER")) settings["loader"] = loader;
  return settings;
}

// Kernels for prompts on Hopper, for any number of rows.
Settings wgmma() {
  std::string tune = "prompt-rows=1";
  for (const char* rows : {"lean", "tiles8", "tiles16", "tiles32", "tiles64"})
    tune += std::string(",") + rows + "-rows=0";
  return {{"attention", "wgmma"}, {"large-batch", "wgmma"}, {"tune", tune}};
}

// The modules that were built, or on another machine those in ROPEWALK_MODULES.
std::filesystem::path module_folder() {
  const char* moved = std::getenv("ROPEWALK_MODULES");
  return moved ? moved : RW_MODULE_DIR;
}

std::vector<Entry> find_devices() {
  std::vector<std::filesystem::path> files;
  std::error_code none;
  for (const auto& file : std::filesystem::directory_iterator(module_folder() / "backends", none))
    if (file.path().extension() == ".so") files.push_back(file.path());
  std::sort(files.begin(), files.end());

  std::vector<Entry> entries;
  for (const auto& file : files) {
    const abi::Module* module = load(file);
    const std::string name = module->name;
    add_devices(module, name, name == "vulkan" ? vulkan({}) : Settings{}, entries);
    if (name == "cpu") {
      add_devices(module, "cpu_avx512", {{"instructions", "avx512"}}, entries);
      add_devices(module, "cpu_avx2", {{"instructions", "avx2"}}, entries);
      add_devices(module, "cpu_baseline", {{"instructions", "baseline"}}, entries);
      add_devices(module, "cpu_baseline_vnni", {{"instructions", "baseline_vnni"}}, entries);
      add_devices(module, "cpu_single", {{"threads", "1"}}, entries);
    }
    if (name == "cuda" || name == "emulated")
      add_devices(module, name + "_wgmma", wgmma(), entries);
    if (name == "vulkan") {
      add_devices(module, "vulkan_bare", vulkan({{"mask-features", kOptionalFeatures}}), entries);
      add_devices(module, "vulkan_gpu", vulkan({{"tuning", "gpu"}}), entries);
      add_devices(module, "vulkan_gpu_bare",
                  vulkan({{"tuning", "gpu"}, {"mask-features", kOptionalFeatures}}), entries);
      add_devices(module, "vulkan_gpu_dot",
                  vulkan({{"tuning", "gpu"}, {"float16", "never"}, {"dot", "always"}, kPatient}),
                  entries, true);
      add_devices(module, "vulkan_gpu_matrix",
                  vulkan({{"tuning", "gpu"}, {"matrix", "emulated"}, kPatient}), entries, true);
    }
  }
  return entries;
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> found = find_devices();
  return found;
}

abi::Device& open(const Entry& entry) {
  static std::map<std::string, abi::Device*> opened;
  abi::Device*& device = opened[entry.name];
  if (device) return *device;
  abi::Backend* backend = create(*entry.module, entry.settings);
  if (!backend) throw std::runtime_error(entry.name + ": the backend refuses its settings");
  const abi::Status status = backend->open(entry.index, &device);
  if (!status.ok()) throw std::runtime_error(entry.name + ": " + status.message);
  return *device;
}

constexpr char kInvariant[] = "batch-invariant";

bool has_option(const abi::Module& module, std::string_view option) {
  return std::any_of(module.options, module.options + module.option_count,
                     [&](const abi::OptionInfo& info) { return info.name == option; });
}

}  // namespace

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries())
    if (!entry.is_slow || std::getenv("ROPEWALK_EVERY_VARIANT")) names.push_back(entry.name);
  return names;
}

std::vector<std::string> slow_device_names(const std::string& name) {
  std::vector<std::string> names;
  for (const Entry& entry : entries())
    if (entry.is_slow && entry.name.starts_with(name)) names.push_back(entry.name);
  return names;
}

std::vector<std::string> expected_devices() {
  const char* list = std::getenv("ROPEWALK_EXPECT_DEVICES");
  std::istringstream text(list ? list : "cpu");
  std::vector<std::string> names;
  for (std::string name; std::getline(text, name, ',');) names.push_back(name);
  return names;
}

abi::Device& device(const std::string& name) {
  for (const Entry& entry : entries())
    if (entry.name == name) return open(entry);
  throw std::runtime_error(name + ": no such device");
}

abi::Device& cpu_device(const std::string& instructions, int threads) {
  for (const Entry& entry : entries())
    if (entry.name == "cpu")
      return open({"cpu " + instructions + " " + std::to_string(threads),
                   entry.module,
                   {{"instructions", instructions}, {"threads", std::to_string(threads)}},
                   0});
  throw std::runtime_error("no cpu backend was built");
}

std::vector<std::string> invariant_device_names() {
  std::vector<std::string> names;
  for (const Entry& entry : entries())
    if (!entry.is_slow && has_option(*entry.module, kInvariant) &&
        !entry.settings.contains("mask-features"))
      names.push_back(entry.name);
  return names;
}

abi::Device& invariant_device(const std::string& name) {
  for (const Entry& entry : entries()) {
    if (entry.name != name) continue;
    Settings settings = entry.settings;
    settings[kInvariant] = "true";
    return open({name + " " + kInvariant, entry.module, settings, entry.index});
  }
  throw std::runtime_error(name + ": no such device");
}

bool is_variant(const std::string& device_name) {
  const size_t cut = device_name.find('_');
  return cut != std::string::npos &&
         !std::isdigit(static_cast<unsigned char>(device_name[cut + 1]));
}

bool is_cpu(const std::string& device_name) { return device_name.starts_with("cpu"); }

}  // namespace ropewalk::test
