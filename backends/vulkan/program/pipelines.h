// pipelines.h — compute pipelines: one for each shader and set of specialisation constants.
//
// Compiled when first needed and kept until the device is closed. All share one layout: 128 bytes
// of push constants, no descriptors. The driver's pipeline cache, which pipeline_cache.h keeps on
// disk, makes the next start fast. Not thread-safe.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "backends/vulkan/device/context.h"
#include "backends/vulkan/program/shaders.h"

namespace ropewalk::vulkan {

inline constexpr uint32_t kPushBytes = 128;  // what every device has

// Element i has the constant_id i; 0 and 1 are the workgroup's size.
using Constants = std::vector<uint32_t>;

class Pipelines {
 public:
  explicit Pipelines(Context& context);
  ~Pipelines();
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;

  VkPipeline get(const Shader& shader, const Constants& constants);
  VkPipelineLayout layout() const { return layout_; }
  // Writes the driver's cache to disk if pipelines were made since the last time.
  void save();

  uint64_t made() const { return made_; }
  double seconds() const { return seconds_; }  // that compiling them took

 private:
  VkPipeline make(const Shader& shader, const Constants& constants);
  VkShaderModule module_of(const Shader& shader);

  Context& context_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  std::map<const Shader*, VkShaderModule> modules_;
  std::map<std::pair<const Shader*, Constants>, VkPipeline> pipelines_;
  uint64_t made_ = 0, saved_ = 0;
  double seconds_ = 0;
};

}  // namespace ropewalk::vulkan
