#include "backends/vulkan/device/context.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "backends/vulkan/device/cooperative_matrix.h"
#include "core/abi/guard.h"

namespace ropewalk::vulkan {
namespace {

using abi::Failure;
using abi::StatusCode;

VkSemaphore make_timeline(const DeviceApi& api, VkDevice device) {
  auto type = structure<VkSemaphoreTypeCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  auto info = structure<VkSemaphoreCreateInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO);
  info.pNext = &type;
  VkSemaphore semaphore = VK_NULL_HANDLE;
  check(api.CreateSemaphore(device, &info, nullptr, &semaphore), "a timeline semaphore");
  return semaphore;
}

// An instance must outlive its devices, and a lost device is never destroyed.
void keep_forever(const std::shared_ptr<Instance>& instance) {
  static auto* const kept = new std::vector<std::shared_ptr<Instance>>;
  kept->push_back(instance);
}

// A submission that has not ended may still be compiled or run by threads of the driver, and exit()
// takes down the libraries that they use. So the process ends before that, with its code. Only
// glibc tells a handler the code; elsewhere exit() does what it does.
void exit_before_the_driver() {
#ifdef __GLIBC__
  const auto end = [](int code, void*) {
    std::fflush(nullptr);
    std::_Exit(code);
  };
  static const int registered = on_exit(end, nullptr);
  static_cast<void>(registered);
#endif
}

}  // namespace

Context::Context(std::shared_ptr<Instance> instance, VkPhysicalDevice physical,
                 const Options& options)
    : instance_(std::move(instance)),
      physical_(physical),
      options_(options),
      features_(examine(*instance_, physical, options)) {
  if (!features_.unusable.empty()) throw Failure(StatusCode::no_device, features_.unusable);
  open();
  api_ = load_device(instance_->api(), device_);
  api_.GetDeviceQueue(device_, features_.queue_family, 0, &queue_);
  auto pool = structure<VkCommandPoolCreateInfo>(VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO);
  pool.queueFamilyIndex = features_.queue_family;
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  check(api_.CreateCommandPool(device_, &pool, nullptr, &commands_), "a command pool");
  timeline_ = make_timeline(api_, device_);
  never_signalled_ = make_timeline(api_, device_);
}

void Context::open() {
  const float priority = 1;
  auto queue = structure<VkDeviceQueueCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
  queue.queueFamilyIndex = features_.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;

  auto size = structure<VkPhysicalDeviceSubgroupSizeControlFeatures>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
  size.subgroupSizeControl = VK_TRUE;
  size.computeFullSubgroups = VK_TRUE;
  auto v12 = structure<VkPhysicalDeviceVulkan12Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
  v12.bufferDeviceAddress = VK_TRUE;
  v12.timelineSemaphore = VK_TRUE;
  auto v11 = structure<VkPhysicalDeviceVulkan11Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
  v11.storageBuffer16BitAccess = features_.storage_16bit;
  v12.shaderFloat16 = features_.float16;
  v12.vulkanMemoryModel = v12.vulkanMemoryModelDeviceScope = features_.memory_model;
  v12.pNext = &v11;
  auto dot = structure<VkPhysicalDeviceShaderIntegerDotProductFeatures>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
  dot.shaderIntegerDotProduct = VK_TRUE;
  VkPhysicalDeviceFeatures core{};
  core.shaderInt64 = features_.int64;
  std::vector<const char*> extensions;
  if (features_.size_control) {
    extensions.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    v11.pNext = &size;
  }
  if (features_.integer_dot) {
    extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    dot.pNext = v11.pNext;
    v11.pNext = &dot;
  }
  auto matrices = structure<CooperativeMatrixFeatures>(kCooperativeMatrixFeatures);
  matrices.cooperativeMatrix = VK_TRUE;
  if (features_.matrices == Matrices::cooperative) {
    extensions.push_back(kCooperativeMatrix);
    v12.vulkanMemoryModel = VK_TRUE;
    matrices.pNext = v11.pNext;
    v11.pNext = &matrices;
  }
  if (features_.portability_subset) extensions.push_back(kPortabilitySubset);
  if (features_.memory_budget) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);

  auto info = structure<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO);
  info.pNext = &v12;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  info.pEnabledFeatures = &core;
  check(instance_->api().CreateDevice(physical_, &info, nullptr, &device_), features_.info.name);
}

void Context::require_alive() const {
  if (!lost_.empty()) throw Failure(StatusCode::device_lost, lost_);
}

void Context::lose(const std::string& reason) {
  lost_ = reason;
  throw Failure(StatusCode::device_lost, lost_);
}

void Context::check_alive(VkResult result, const char* what) {
  if (result == VK_ERROR_DEVICE_LOST) lose("the driver reports the device lost");
  check(result, what);
}

void Context::begin_step() {
  ++steps_;
  if (steps_ == options_.faults.lost_at_step) check_alive(VK_ERROR_DEVICE_LOST, "submit");
}

uint64_t Context::submit(std::span<const VkCommandBuffer> commands) {
  require_alive();
  const bool hangs = steps_ && steps_ == options_.faults.hang_at_step;
  const uint64_t one = 1;
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  const auto count = static_cast<uint32_t>(commands.size());
  std::vector<uint64_t> numbers(count);
  std::vector<VkTimelineSemaphoreSubmitInfo> values(
      count,
      structure<VkTimelineSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO));
  std::vector<VkSubmitInfo> infos(count, structure<VkSubmitInfo>(VK_STRUCTURE_TYPE_SUBMIT_INFO));
  for (uint32_t i = 0; i < count; ++i) {
    numbers[i] = submitted_ + 1 + i;
    values[i].signalSemaphoreValueCount = 1;
    values[i].pSignalSemaphoreValues = &numbers[i];
    infos[i].pNext = &values[i];
    infos[i].commandBufferCount = 1;
    infos[i].pCommandBuffers = &commands[i];
    infos[i].signalSemaphoreCount = 1;
    infos[i].pSignalSemaphores = &timeline_;
  }
  if (hangs) {
    values[0].waitSemaphoreValueCount = 1;
    values[0].pWaitSemaphoreValues = &one;
    infos[0].waitSemaphoreCount = 1;
    infos[0].pWaitSemaphores = &never_signalled_;
    infos[0].pWaitDstStageMask = &stage;
  }
  check_alive(api_.QueueSubmit(queue_, count, infos.data(), VK_NULL_HANDLE), "submit");
  submitted_ = numbers.back();
  laps_.push_back(std::make_shared<Lap>(Lap{submitted_, std::chrono::steady_clock::now()}));
  return submitted_;
}

void Context::end_laps() {
  for (; !laps_.empty() && laps_.front()->last <= finished_; laps_.pop_front()) {
    Lap& lap = *laps_.front();
    const auto now = std::chrono::steady_clock::now();
    lap.seconds = std::chrono::duration<double>(now - lap.begun).count();
    if (options_.faults.step_ms) lap.seconds = 1e-3 * static_cast<double>(options_.faults.step_ms);
  }
}

// Submission by submission, so that the time limit is one submission's and not that of all.
void Context::wait_for(uint64_t number) {
  require_alive();
  const uint64_t limit = submit_limit_of(options_.submit_limit_ms, features_.info.type);
  for (; finished_ < number; ++finished_) {
    const uint64_t next = finished_ + 1;
    auto info = structure<VkSemaphoreWaitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO);
    info.semaphoreCount = 1;
    info.pSemaphores = &timeline_;
    info.pValues = &next;
    const VkResult result = api_.WaitSemaphores(device_, &info, limit * 1000000);
    if (result == VK_TIMEOUT) {
      exit_before_the_driver();
      lose("a submission did not finish within " +
           (limit % 1000 ? std::to_string(limit) + " ms" : std::to_string(limit / 1000) + " s"));
    }
    check_alive(result, "wait");
  }
  end_laps();
}

Context::~Context() {
  if (!alive()) {
    keep_forever(instance_);
    return;
  }
  if (device_ && api_.DeviceWaitIdle) api_.DeviceWaitIdle(device_);
  if (never_signalled_) api_.DestroySemaphore(device_, never_signalled_, nullptr);
  if (timeline_) api_.DestroySemaphore(device_, timeline_, nullptr);
  if (commands_) api_.DestroyCommandPool(device_, commands_, nullptr);
  if (device_) api_.DestroyDevice(device_, nullptr);
}

}  // namespace ropewalk::vulkan
