// context.h — an opened device: the VkDevice, its one queue, and whether it is lost.
//
// Everything that touches the device borrows the context, so it is destroyed last. Work is
// submitted in order and numbered by a timeline semaphore. The device is lost when the driver says
// so or a submission does not end in time. From then on every call throws device_lost and nothing
// of the device is destroyed, since a driver may hang in that. Where work may be left on a driver's
// threads the process ends without exit handlers that were registered earlier. Calls come from one
// thread at a time.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <span>
#include <string>

#include "backends/vulkan/device/api.h"
#include "backends/vulkan/device/features.h"
#include "backends/vulkan/device/instance.h"
#include "backends/vulkan/device/options.h"

namespace ropewalk::vulkan {

// A call of submit(), by the host's clock.
struct Lap {
  uint64_t last;  // submission
  std::chrono::steady_clock::time_point begun;
  double seconds = 0;  // until a wait saw its end, at least what it took; 0: not seen yet
};

class Context {
 public:
  // Throws Failure: no_device with the reason.
  Context(std::shared_ptr<Instance> instance, VkPhysicalDevice physical, const Options& options);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const DeviceApi& api() const { return api_; }
  VkDevice device() const { return device_; }
  const Features& features() const { return features_; }
  const Options& options() const { return options_; }
  VkPhysicalDevice physical() const { return physical_; }
  Instance& instance() const { return *instance_; }
  VkCommandPool commands() const { return commands_; }

  // Counts a step for the fault options and may lose the device.
  void begin_step();
  // One submission for each command buffer, handed to the driver together: a call costs tens of
  // microseconds. Returns the number of the last. Throws Failure. REQUIRES: at least one.
  uint64_t submit(std::span<const VkCommandBuffer> commands);
  // Of the last call of submit(); its seconds will be known when it has been waited for.
  std::shared_ptr<const Lap> lap() const { return laps_.empty() ? nullptr : laps_.back(); }
  // Waits until submission `number` and all before it have ended. Throws Failure (device_lost).
  void wait_for(uint64_t number);
  void wait_for_all() { wait_for(submitted_); }
  // Throws device_lost if the device is lost; every call of the device begins with it.
  void require_alive() const;
  bool alive() const { return lost_.empty(); }

 private:
  void open();
  [[noreturn]] void lose(const std::string& reason);
  void check_alive(VkResult result, const char* what);
  void end_laps();

  const std::shared_ptr<Instance> instance_;
  const VkPhysicalDevice physical_;
  const Options options_;
  const Features features_;
  VkDevice device_ = VK_NULL_HANDLE;
  DeviceApi api_;
  VkQueue queue_ = VK_NULL_HANDLE;
  VkCommandPool commands_ = VK_NULL_HANDLE;
  VkSemaphore timeline_ = VK_NULL_HANDLE;
  VkSemaphore never_signalled_ = VK_NULL_HANDLE;  // what a hanging step waits for
  uint64_t submitted_ = 0, finished_ = 0, steps_ = 0;
  std::deque<std::shared_ptr<Lap>> laps_;  // that no wait has seen the end of
  std::string lost_;                       // the reason; empty: alive
};

}  // namespace ropewalk::vulkan
