// features.h — which features a physical device has: those this backend needs and those it can use.
//
// Plain data, read once for each device.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/vulkan/device/instance.h"
#include "backends/vulkan/device/timestamp_clock.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

// The names that mask-features takes. The first four features are required.
inline constexpr std::string_view kFeatureNames[] = {
    "buffer-device-address", "timeline-semaphore", "compute-queue", "vulkan-1.2",
    "subgroup-shuffle",      "size-control",       "memory-budget", "float16",
    "16bit-storage",         "timestamps",         "integer-dot",   "int64",
    "subgroup-arithmetic",   "f16-subnormals",     "memory-model",
};

// Of a device that lacks parts of Vulkan, such as one behind MoltenVK; the headers name it only
// among unfinished extensions.
inline constexpr char kPortabilitySubset[] = "VK_KHR_portability_subset";

// What multiplies tiles of f16: nothing, plain GLSL, or the hardware's matrix cores.
enum class Matrices { none, emulated, cooperative };

struct Features {
  abi::DeviceInfo info;    // of the ABI
  std::string unusable;    // why the device cannot be used; empty: it can
  bool processor = false;  // shaders are tuned for a processor's vectors, else for a GPU
  uint32_t queue_family = 0;
  TimestampClock timestamps;           // of the queue
  uint32_t subgroup_size = 0;          // invocations that run together
  bool subgroup_shuffle = false;       // GL_KHR_shader_subgroup_shuffle
  bool size_control = false;           // a pipeline may demand subgroup_size
  bool memory_budget = false;          // VK_EXT_memory_budget
  bool float16 = false;                // shaderFloat16, and matrix products use it
  bool storage_16bit = false;          // storageBuffer16BitAccess
  bool int64 = false;                  // shaderInt64
  bool subgroup_arithmetic = false;    // GL_KHR_shader_subgroup_arithmetic
  bool f16_subnormals = false;         // shaders may demand that they are kept
  bool memory_model = false;           // vulkanMemoryModel with device scope (shaders/last.glsl)
  bool portability_subset = false;     // VK_KHR_portability_subset, which must then be enabled
  bool integer_dot = false;            // shaderIntegerDotProduct, and products of few rows use it
  bool dot_tiles = false;              // those of many rows too
  Matrices matrices = Matrices::none;  // of f16 products of many rows
  uint32_t matrix_lanes = 0;           // of a subgroup that multiplies them
  bool combines_last = false;          // an option: see Combine; where the device can
  bool batch_invariant = false;        // an option: one kernel an op, whatever the number of rows
  uint32_t vector_units = 0;           // that issue instructions of subgroups, about
  uint32_t max_invocations = 0;        // of a workgroup
  uint32_t shared_bytes = 0;           // of a workgroup
  uint64_t largest_allocation = 0;     // bytes
  uint8_t device_uuid[VK_UUID_SIZE] = {};
  uint8_t cache_uuid[VK_UUID_SIZE] = {};  // of pipeline caches that this driver can read
};

// With batch_invariant kernels are chosen, and their work is divided, as for so many rows.
inline constexpr uint32_t kInvariantRows = 8;

Features examine(const Instance& instance, VkPhysicalDevice device, const Options& options);

// Bytes of each heap that can still be allocated: the driver's budget where it has one, else the
// size of the heap.
std::vector<uint64_t> free_of_heaps(const Instance& instance, VkPhysicalDevice device,
                                    const Features& features);

// Of the heaps that weights and caches may lie in, together.
uint64_t memory_free(const Instance& instance, VkPhysicalDevice device, const Features& features,
                     const Options& options);

}  // namespace ropewalk::vulkan
