#include "backends/vulkan/device/instance.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

using abi::Failure;
using abi::StatusCode;

constexpr const char* kLayer = "VK_LAYER_KHRONOS_validation";

void require_layer(const GlobalApi& api) {
  uint32_t count = 0;
  check(api.EnumerateInstanceLayerProperties(&count, nullptr), "layers");
  std::vector<VkLayerProperties> layers(count);
  check(api.EnumerateInstanceLayerProperties(&count, layers.data()), "layers");
  const auto is_wanted = [](const auto& layer) {
    return std::strcmp(layer.layerName, kLayer) == 0;
  };
  if (std::none_of(layers.begin(), layers.end(), is_wanted))
    throw Failure(StatusCode::no_device, std::string(kLayer) +
                                             " was asked for and is not installed: see the "
                                             "package vulkan-validationlayers");
}

// Without it the loader hides devices that lack parts of Vulkan, such as those behind MoltenVK.
bool has_portability_enumeration(const GlobalApi& api) {
  uint32_t count = 0;
  check(api.EnumerateInstanceExtensionProperties(nullptr, &count, nullptr), "extensions");
  std::vector<VkExtensionProperties> extensions(count);
  check(api.EnumerateInstanceExtensionProperties(nullptr, &count, extensions.data()), "extensions");
  return std::any_of(extensions.begin(), extensions.end(), [](const auto& extension) {
    return std::strcmp(extension.extensionName, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME) == 0;
  });
}

void require_version(const GlobalApi& api) {
  uint32_t version = 0;
  check(api.EnumerateInstanceVersion(&version), "the Vulkan loader");
  if (version < VK_API_VERSION_1_2)
    throw Failure(StatusCode::no_device, "the Vulkan loader is of version 1." +
                                             std::to_string(VK_API_VERSION_MINOR(version)) +
                                             ", expected 1.2 or later");
}

}  // namespace

Instance::Instance(const Options& options) : global_(load_global(options.loader)) {
  require_version(global_);
  if (options.validate) require_layer(global_);
  create(options);
  api_ = load_instance(global_, instance_);
  if (options.validate) install_messenger();
  uint32_t count = 0;
  check(api_.EnumeratePhysicalDevices(instance_, &count, nullptr), "Vulkan devices");
  devices_.resize(count);
  check(api_.EnumeratePhysicalDevices(instance_, &count, devices_.data()), "Vulkan devices");
  devices_.resize(count);
}

void Instance::create(const Options& options) {
  auto application = structure<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
  application.pApplicationName = "ropewalk";
  application.apiVersion = VK_API_VERSION_1_2;

  const VkValidationFeatureEnableEXT enabled[] = {
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  auto validation = structure<VkValidationFeaturesEXT>(VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT);
  validation.enabledValidationFeatureCount = 1;
  validation.pEnabledValidationFeatures = enabled;

  std::vector<const char*> extensions;
  auto info = structure<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
  info.pApplicationInfo = &application;
  if (has_portability_enumeration(global_)) {
    info.flags = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    extensions.push_back(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
  }
  if (options.validate) {
    info.pNext = &validation;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kLayer;
    extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  }
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  check(global_.CreateInstance(&info, nullptr, &instance_), "Vulkan");
}

void Instance::install_messenger() {
  const auto create_messenger = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
      global_.GetInstanceProcAddr(instance_, "vkCreateDebugUtilsMessengerEXT"));
  if (!create_messenger) throw Failure(StatusCode::no_device, "the loader has no debug messenger");
  auto info = structure<VkDebugUtilsMessengerCreateInfoEXT>(
      VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT);
  info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                         VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                     VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  info.pfnUserCallback = on_message;
  info.pUserData = this;
  check(create_messenger(instance_, &info, nullptr, &messenger_), "the debug messenger");
}

VkBool32 VKAPI_PTR Instance::on_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                        VkDebugUtilsMessageTypeFlagsEXT,
                                        const VkDebugUtilsMessengerCallbackDataEXT* data,
                                        void* self) {
  auto* instance = static_cast<Instance*>(self);
  std::fprintf(stderr, "vulkan validation: %s\n", data->pMessage);
  const std::lock_guard lock(instance->mutex_);
  if (instance->first_message_.empty()) instance->first_message_ = data->pMessage;
  return VK_FALSE;
}

void Instance::require_valid() {
  const std::lock_guard lock(mutex_);
  if (first_message_.empty()) return;
  std::string message;
  message.swap(first_message_);
  throw Failure(StatusCode::internal, "validation: " + message);
}

Instance::~Instance() {
  if (messenger_) {
    const auto destroy = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
        global_.GetInstanceProcAddr(instance_, "vkDestroyDebugUtilsMessengerEXT"));
    destroy(instance_, messenger_, nullptr);
  }
  if (instance_) api_.DestroyInstance(instance_, nullptr);
}

}  // namespace ropewalk::vulkan
