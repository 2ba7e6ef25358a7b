#include "backends/vulkan/device/cooperative_matrix.h"

#include <algorithm>
#include <vector>

namespace ropewalk::vulkan {
namespace {

// VkCooperativeMatrixPropertiesKHR
struct MatrixProperties {
  VkStructureType sType;
  void* pNext;
  uint32_t m, n, k;
  uint32_t a, b, c, result;  // VkComponentTypeKHR
  VkBool32 saturating;
  uint32_t scope;  // VkScopeKHR
};
constexpr auto kMatrixProperties = static_cast<VkStructureType>(1000506001);
constexpr uint32_t kFloat16 = 0, kFloat32 = 1, kSubgroup = 3;

using GetProperties = VkResult(VKAPI_PTR*)(VkPhysicalDevice, uint32_t*, MatrixProperties*);

}  // namespace

bool has_f16_matrices(const Instance& instance, VkPhysicalDevice device) {
  const auto get = reinterpret_cast<GetProperties>(
      instance.find("vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  uint32_t count = 0;
  if (!get || get(device, &count, nullptr) < 0) return false;
  std::vector<MatrixProperties> found(count, structure<MatrixProperties>(kMatrixProperties));
  if (get(device, &count, found.data()) < 0) return false;
  return std::any_of(found.begin(), found.end(), [](const MatrixProperties& of) {
    return of.m == 16 && of.n == 16 && of.k == 16 && of.a == kFloat16 && of.b == kFloat16 &&
           of.c == kFloat32 && of.result == kFloat32 && of.scope == kSubgroup;
  });
}

}  // namespace ropewalk::vulkan
