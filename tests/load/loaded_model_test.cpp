#include "core/load/loaded_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/base/error.h"
#include "core/load/adapter_pool.h"
#include "core/model/families.h"
#include "core/model/synthetic.h"
#include "tests/exec/fake_device.h"
#include "tests/memory.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

struct Loading {
  FakeDevice device;
  std::unique_ptr<WeightSource> weights =
      make_synthetic(*known_shape("airophin-mini"), SyntheticQuant{}, 1);
  LoadSettings settings;

  Loading() {
    settings.programs = {{1, 1, 1, 2}, {512, 1, 1, 2}};
    settings.device_name = "fake";
  }
  std::unique_ptr<LoadedModel> load() {
    ModelGraph graph = build_model(
        *weights, {abi::DType::f32, abi::DType::f16, 2, 1.0, abi::KeyRotation::before_cache});
    return std::make_unique<LoadedModel>(device, *weights, std::move(graph), settings);
  }
  Error error() {
    try {
      load();
    } catch (const Error& error) {
      return error;
    }
    return Error(ExitCode::ok, "", "nothing was thrown", "");
  }
};

TEST(LoadedModel, ThePlanIsWhatIsAllocated) {
  Loading loading;
  MemoryPlan announced;
  loading.settings.planned = [&](const MemoryPlan& plan) {
    announced = plan;
    EXPECT_EQ(loading.device.allocated, 0u) << "the plan must come before the first allocation";
  };
  const auto model = loading.load();
  EXPECT_EQ(announced.total(), loading.device.allocated);
  // The fake's narrowest program needs the largest workspace.
  EXPECT_EQ(announced.workspace, 1u << 20);
  // airophin-mini's cache: 5 layers, keys and values, 2 pages of 64 tokens, 3 heads of 64 in f16.
  EXPECT_EQ(announced.cache, 5u * 2 * 2 * 64 * 3 * 64 * 2);
}

TEST(LoadedModel, ActOrderFoldsAwayCompletely) {
  Loading loading;
  const auto model = loading.load();
  // q/k/v, o, gate/up and down of five layers.
  EXPECT_EQ(model->folding().permutes_before, 5u * 7);
  EXPECT_EQ(model->folding().permutes_after, 0u);
}

TEST(LoadedModel, ADeviceThatIsTooSmallIsRefusedBeforeAnythingIsAllocated) {
  Loading loading;
  loading.device.info_.memory_free = 5'000'000;
  const Error error = loading.error();
  EXPECT_EQ(error.code(), ExitCode::out_of_memory);
  EXPECT_THAT(error.what(), HasSubstr("fake: the model does not fit: weights"));
  EXPECT_THAT(error.what(), HasSubstr("of 4.77 MiB free"));
  EXPECT_EQ(loading.device.allocated, 0u);
}

TEST(LoadedModel, SlotsOfAdaptersThatDoNotFitAreRefusedBeforeAnythingIsAllocated) {
  Loading loading;
  const uint64_t without = loading.load()->plan().total();
  const std::vector<NamedAdapter> adapters = {
      {"a", make_synthetic_adapter(*known_shape("airophin-mini"), 64, 1)}};
  const AdapterRoom room = room_for(adapters, 4);
  loading.settings.adapted = build_model(
      *loading.weights, {abi::DType::f32, abi::DType::f16, 2, 1.0, abi::KeyRotation::before_cache,
                         abi::kDefaultPageTokens, &room});
  MemoryPlan plan;
  loading.settings.planned = [&](const MemoryPlan& planned) { plan = planned; };
  loading.device.info_.memory_free = without;
  loading.device.allocated = 0;
  const Error error = loading.error();
  EXPECT_EQ(error.code(), ExitCode::out_of_memory);
  EXPECT_THAT(error.what(), HasSubstr("fake: the model does not fit: weights"));
  EXPECT_THAT(error.what(), HasSubstr(", adapters 8.91 MiB: "));
  EXPECT_THAT(error.what(), HasSubstr("Lower adapter_slots, or use a device with more memory"));
  EXPECT_EQ(loading.device.allocated, 0u);
}

TEST(LoadedModel, AFailedAllocationGivesEverythingBack) {
  Loading loading;
  loading.device.on_allocate = abi::fail(abi::StatusCode::out_of_memory, "the fake is full");
  EXPECT_EQ(loading.error().code(), ExitCode::out_of_memory);
  EXPECT_TRUE(loading.device.buffers.empty());
}

TEST(LoadedModel, ACancelledLoadGivesEverythingBack) {
  Loading loading;
  loading.settings.progress = [](uint64_t done, uint64_t total) {
    if (done > total / 2) throw std::runtime_error("cancelled");
  };
  EXPECT_THROW(loading.load(), std::runtime_error);
  EXPECT_TRUE(loading.device.buffers.empty());
}

// 230 KB of host memory: tables, gate and up come in parts, all of their columns once.
TEST(LoadedModel, WhatIsLargerThanItsMemoryComesInParts) {
  Loading loading;
  ModelConfig config = *known_shape("airophin-mini");
  config.intermediate_size = 2048;
  loading.weights = make_synthetic(config, SyntheticQuant{4, 32, false}, 1);
  loading.device.staging_bytes = 230'000;
  uint64_t last = 0, goal = 0;
  loading.settings.progress = [&](uint64_t done, uint64_t total) { last = done, goal = total; };
  const auto model = loading.load();
  EXPECT_EQ(last, goal);
  EXPECT_FALSE(loading.device.staging_open());
  const auto packed = loading.device.packed;
  std::map<std::pair<uint64_t, uint64_t>, uint32_t> columns;  // of each slice, so far
  size_t in_parts = 0;
  for (const auto& part : packed) {
    uint32_t& before = columns[{part.buffer, part.offset}];
    EXPECT_EQ(part.first_column, before);
    EXPECT_EQ(part.first_column % abi::kPartColumns, 0u);
    in_parts += part.first_column > 0;
    before += part.cols;
  }
  // Two tables of 1024, and in each of 5 layers q, k, v, o (192), gate, up (2048), down (192).
  std::map<uint32_t, uint32_t> widths;
  for (const auto& [slice, width] : columns) ++widths[width];
  EXPECT_EQ(widths, (std::map<uint32_t, uint32_t>{{192, 25}, {1024, 2}, {2048, 10}}));
  EXPECT_GT(in_parts, 10u);
}

TEST(LoadedModel, TooLittleMemoryForAPartIsRefused) {
  Loading loading;
  loading.device.staging_bytes = 20'000;
  const Error error = loading.error();
  EXPECT_EQ(error.code(), ExitCode::out_of_memory);
  EXPECT_THAT(error.what(),
              HasSubstr("model.embed_tokens.weight: the backend gives 19.5 KiB of host memory for "
                        "loading, 256 of its columns need 96.0 KiB. Use another backend."));
  EXPECT_TRUE(loading.device.buffers.empty());
  EXPECT_FALSE(loading.device.staging_open());
}

// The widest shapes of a 13B model: loading holds the staging memory, some orders and lists, and no
// more.
TEST(LoadedModel, HoldsNoWeightWhole) {
  Loading loading;
  ModelConfig config = *known_shape("llama2-13b");
  config.layers = 1;
  loading.weights = make_synthetic(config, SyntheticQuant{}, 1);
  loading.device.staging_bytes = uint64_t{40} << 20;
  forget_peak();
  const uint64_t before = memory_now();
  loading.load();
  EXPECT_LT(memory_peak(), before + (uint64_t{60} << 20));
}

TEST(LoadedModel, ProgressEndsAtTheTotal) {
  Loading loading;
  uint64_t last = 0, goal = 0;
  loading.settings.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GT(done, last);
    last = done;
    goal = total;
  };
  loading.load();
  EXPECT_EQ(last, goal);
}

TEST(LoadedModel, ANodeThatTheDeviceCannotRunIsNamed) {
  Loading loading;
  loading.device.refuse_op_name = "model.layers.3.self_attn";
  const Error error = loading.error();
  EXPECT_EQ(error.code(), ExitCode::no_device);
  EXPECT_THAT(
      error.what(),
      HasSubstr("fake: cannot run model.layers.3.self_attn (attention): the fake refuses it"));
}

// A cache that may shrink gets its share of what weights and activations leave.
TEST(LoadedModel, TheCacheShrinksToTheFreeMemory) {
  Loading loading;
  const uint64_t rest = [&] {
    const auto whole = loading.load();
    EXPECT_EQ(whole->cache_pages(), 2u);
    return whole->plan().total() - whole->plan().cache;
  }();
  const uint64_t page = 5u * 2 * 64 * 3 * 64 * 2;
  loading.settings.cache = {.share = 0.5, .min_pages = 1};
  loading.device.info_.memory_free = rest + 4 * page;
  EXPECT_EQ(loading.load()->cache_pages(), 2u);  // no more than was asked for
  loading.device.info_.memory_free = rest + 4 * page - 1;
  const auto half = loading.load();
  EXPECT_EQ(half->cache_pages(), 1u);
  EXPECT_EQ(half->plan().cache, page);
  // At least min_pages, whatever the share; then they must fit.
  loading.device.info_.memory_free = rest + page;
  EXPECT_EQ(loading.load()->cache_pages(), 1u);
  loading.device.info_.memory_free = rest + page - 1;
  EXPECT_EQ(loading.error().code(), ExitCode::out_of_memory);
}

}  // namespace
}  // namespace ropewalk::test
