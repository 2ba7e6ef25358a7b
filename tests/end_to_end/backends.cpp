#include "tests/end_to_end/backends.h"

#include <cstdlib>

namespace ropewalk::test {
namespace {

using enum KvCacheType;

// vulkan: on lavapipe, f32 throughout. vulkan_gpu: the shaders that a GPU runs, where x of many
// rows has 11 bits, which moves some keys of an int8 cache to the next code. cuda: x goes through
// the tensor cores as f16, and so does the cache: about 5e-4 a value, over two layers and the
// logits. vulkan_gpu_matrix: matrix cores, emulated, which round x of more than 8 rows; a processor
// takes long to compile them.
const TestBackend kBackends[] = {
    {"cpu", "cpu", {}, {f32}, 1e-3, 0, 0, 0},
    {"vulkan", "vulkan", {}, {f32, f16, int8}, 1e-3, 2e-3, 2e-2, 1e-3},
    {"vulkan_gpu", "vulkan", {{"tuning", "gpu"}}, {f32, f16, int8}, 1e-2, 1e-2, 3e-2, 1e-2},
    {"vulkan_gpu_matrix",
     "vulkan",
     {{"tuning", "gpu"}, {"matrix", "emulated"}, {"submit-limit-ms", "600000"}},
     {f16, int8},
     1e-2,
     1e-2,
     3e-2,
     1e-2},
    {"cuda", "cuda", {}, {f16, int8}, 1e-2, 1e-2, 3e-2, 1e-2},
    {"emulated", "emulated", {}, {f16, int8}, 1e-2, 1e-2, 3e-2, 1e-2},
};

}  // namespace

std::vector<TestBackend> test_backends() {
  const std::string built = std::string(",") + RW_BACKENDS + ",";
  const char* only = std::getenv("CUDA_TEST_BACKEND");
  std::vector<TestBackend> found;
  for (const TestBackend& backend : kBackends)
    if (built.find("," + backend.name + ",") != std::string::npos &&
        (!only || backend.backend == only) &&
        (backend.name != "vulkan_gpu_matrix" || std::getenv("ROPEWALK_EVERY_VARIANT")))
      found.push_back(backend);
  return found;
}

Config config_of(const TestBackend& backend, const std::string& variant) {
  Config config = fixture_config(variant, expected_of(variant));
  config.backend.plugin.name = backend.backend;
  if (backend.backend != "cpu") config.backend.device = 0;
  // A test must not depend on what another one left.
  if (backend.backend == "vulkan") set_option(config, "pipeline-cache", "false");
  for (const auto& [option, value] : backend.options) set_option(config, option, value);
  config.context.kv_cache = backend.caches.front();
  return config;
}

std::string why_missing(const TestBackend& backend) {
  Config config;
  config.backend.plugin.name = backend.backend;
  Registry registry = make_registry(config);
  try {
    open_device(registry, config.backend);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void PrintTo(const TestBackend& backend, std::ostream* out) { *out << backend.name; }

}  // namespace ropewalk::test
