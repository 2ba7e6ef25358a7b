#include "backends/vulkan/program/pipelines.h"

#include <chrono>

#include "backends/vulkan/program/pipeline_cache.h"
#include "backends/vulkan/program/spirv.h"

namespace ropewalk::vulkan {

Pipelines::Pipelines(Context& context) : context_(context) {
  const DeviceApi& api = context.api();
  VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
  auto layout =
      structure<VkPipelineLayoutCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  check(api.CreatePipelineLayout(context.device(), &layout, nullptr, &layout_),
        "a pipeline layout");

  std::vector<std::byte> stored;
  if (context.options().pipeline_cache) stored = load_pipeline_cache(context.features());
  auto cache = structure<VkPipelineCacheCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO);
  cache.initialDataSize = stored.size();
  cache.pInitialData = stored.data();
  check(api.CreatePipelineCache(context.device(), &cache, nullptr, &cache_), "a pipeline cache");
}

Pipelines::~Pipelines() {
  if (!context_.alive()) return;
  const DeviceApi& api = context_.api();
  for (const auto& [key, pipeline] : pipelines_)
    api.DestroyPipeline(context_.device(), pipeline, nullptr);
  for (const auto& [shader, module] : modules_)
    api.DestroyShaderModule(context_.device(), module, nullptr);
  api.DestroyPipelineCache(context_.device(), cache_, nullptr);
  api.DestroyPipelineLayout(context_.device(), layout_, nullptr);
}

VkPipeline Pipelines::get(const Shader& shader, const Constants& constants) {
  const auto [found, is_new] = pipelines_.try_emplace({&shader, constants}, VK_NULL_HANDLE);
  if (!is_new) return found->second;
  try {
    const auto start = std::chrono::steady_clock::now();
    found->second = make(shader, constants);
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++made_;
  } catch (...) {
    pipelines_.erase(found);
    throw;
  }
  return found->second;
}

VkShaderModule Pipelines::module_of(const Shader& shader) {
  VkShaderModule& module = modules_[&shader];
  if (module) return module;
  auto info = structure<VkShaderModuleCreateInfo>(VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  std::vector<uint32_t> words(shader.words.begin(), shader.words.end());
  if (shader.on_matrices) words = visible_at_barriers(words);
  if (context_.features().f16_subnormals) words = keep_f16_subnormals(words);
  info.codeSize = words.size() * sizeof words[0];
  info.pCode = words.data();
  check(context_.api().CreateShaderModule(context_.device(), &info, nullptr, &module), shader.name);
  return module;
}

VkPipeline Pipelines::make(const Shader& shader, const Constants& constants) {
  std::vector<VkSpecializationMapEntry> entries;
  for (uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, 4 * i, 4});
  VkSpecializationInfo values{};
  values.mapEntryCount = static_cast<uint32_t>(entries.size());
  values.pMapEntries = entries.data();
  values.dataSize = 4 * constants.size();
  values.pData = constants.data();

  // Demanded only where the shader relies on it. Otherwise the driver chooses: a large subgroup may
  // have too few registers.
  auto size = structure<VkPipelineShaderStageRequiredSubgroupSizeCreateInfo>(
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  size.requiredSubgroupSize =
      shader.on_matrices ? context_.features().matrix_lanes : context_.features().subgroup_size;
  auto info =
      structure<VkComputePipelineCreateInfo>(VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  if (context_.features().size_control && shader.whole_subgroups) {
    info.stage.pNext = &size;
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module_of(shader);
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &values;
  info.layout = layout_;
  VkPipeline pipeline = VK_NULL_HANDLE;
  check(context_.api().CreateComputePipelines(context_.device(), cache_, 1, &info, nullptr,
                                              &pipeline),
        shader.name);
  return pipeline;
}

void Pipelines::save() {
  if (!context_.options().pipeline_cache || made_ == saved_) return;
  saved_ = made_;
  const DeviceApi& api = context_.api();
  size_t bytes = 0;
  if (api.GetPipelineCacheData(context_.device(), cache_, &bytes, nullptr) != VK_SUCCESS) return;
  std::vector<std::byte> data(bytes);
  if (api.GetPipelineCacheData(context_.device(), cache_, &bytes, data.data()) != VK_SUCCESS)
    return;
  data.resize(bytes);
  store_pipeline_cache(context_.features(), data);
}

}  // namespace ropewalk::vulkan
