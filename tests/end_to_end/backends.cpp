#include "tests/end_to_end/backends.h"

#include <cstdlib>
#include <iterator>
#include <sstream>

namespace ropewalk::test {
namespace {

using enum KvCacheType;

// vulkan: on lavapipe, f32 throughout. vulkan_gpu: the shaders that a GPU runs, where x of many
// rows has 11 bits, which moves some keys of an int8 cache to the next code. cuda: x goes through
// the tensor cores as f16, and so does the cache: about 5e-4 a value, over two layers and the
// logits. bare: without any optional feature, so f32 throughout. A processor takes long to compile
// for the last two: dot, integer products of many rows, and matrix, matrix cores, emulated, which
// round x of more than 8 rows.
const std::pair<std::string, std::string> kBare = {
    "mask-features",
    "subgroup-shuffle size-control memory-budget float16 16bit-storage int64 subgroup-arithmetic "
    "memory-model f16-subnormals"};
// Mesa compiles within a submission.
const std::pair<std::string, std::string> kPatient = {"submit-limit-ms", "600000"};
const TestBackend kBackends[] = {
    {"cpu", "cpu", {}, {f32}, 1e-3, 0, 0, 0},
    {"vulkan", "vulkan", {}, {f32, f16, int8}, 1e-3, 2e-3, 2e-2, 1e-3},
    {"vulkan_gpu", "vulkan", {{"tuning", "gpu"}}, {f32, f16, int8}, 1e-2, 1e-2, 3e-2, 1e-2},
    {"vulkan_bare", "vulkan", {kBare}, {f32, f16, int8}, 1e-3, 2e-3, 2e-2, 1e-3},
    {"vulkan_gpu_bare",
     "vulkan",
     {{"tuning", "gpu"}, kBare},
     {f32, f16, int8},
     1e-3,
     2e-3,
     2e-2,
     1e-3},
    {"vulkan_gpu_dot",
     "vulkan",
     {{"tuning", "gpu"}, {"float16", "never"}, {"dot", "always"}, kPatient},
     {f32, f16, int8},
     1e-3,
     2e-3,
     2e-2,
     1e-3},
    {"vulkan_gpu_matrix",
     "vulkan",
     {{"tuning", "gpu"}, {"matrix", "emulated"}, kPatient},
     {f16, int8},
     1e-2,
     1e-2,
     3e-2,
     1e-2},
    {"cuda", "cuda", {}, {f16, int8}, 1e-2, 1e-2, 3e-2, 1e-2},
    {"emulated", "emulated", {}, {f16, int8}, 1e-2, 1e-2, 3e-2, 1e-2},
};

// Whole models on these only where all variants are asked for; the ops are tested each time.
bool is_variant(const TestBackend& backend) {
  return backend.backend == "vulkan" && backend.name != "vulkan" && backend.name != "vulkan_gpu";
}

// The words of a text.
std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace

std::vector<TestBackend> test_backends() {
  const std::string built = std::string(",") + RW_BACKENDS + ",";
  const char* only = std::getenv("CUDA_TEST_BACKEND");
  std::vector<TestBackend> found;
  for (const TestBackend& backend : kBackends)
    if (built.find("," + backend.name + ",") != std::string::npos &&
        (!only || backend.backend == only) &&
        (!is_variant(backend) || std::getenv("ROPEWALK_EVERY_VARIANT")))
      found.push_back(backend);
  return found;
}

Config config_of(const TestBackend& backend, const std::string& variant) {
  Config config = fixture_config(variant, expected_of(variant));
  config.backend.plugin.name = backend.backend;
  if (backend.backend != "cpu") config.backend.device = 0;
  // A test must not depend on what another one left.
  if (backend.backend == "vulkan") set_option(config, "pipeline-cache", "false");
  const char* const loader = std::getenv("ROPEWALK_VULKAN_LOADER");
  if (loader && backend.backend == "vulkan") set_option(config, "loader", loader);
  for (const auto& [option, value] : backend.options) {
    if (option == "mask-features")
      config.backend.plugin.options.push_back(
          {option, Where{}, make_list(words_of(value), Where{})});
    else
      set_option(config, option, value);
  }
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
