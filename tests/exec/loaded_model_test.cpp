#include "core/exec/loaded_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/model/synthetic.h"
#include "tests/exec/fake_device.h"

namespace ropewalk {
namespace {

using testing::HasSubstr;

struct Loading {
  test::FakeDevice device;
  std::unique_ptr<WeightSource> weights =
      make_synthetic(*known_shape("airophin-mini"), SyntheticQuant{}, 1);
  LoadSettings settings;

  Loading() {
    settings.widest = {512, 1, 1, 2};
    settings.device_name = "fake";
  }
  std::unique_ptr<LoadedModel> load() {
    ModelGraph graph = build_llama(
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
  // The fake's narrowest program needs most.
  EXPECT_EQ(announced.workspace, 1u << 20);
  // airophin-mini's cache: 5 layers, keys and values, 2 pages of 256 tokens, 3 heads of 64 in f16.
  EXPECT_EQ(announced.cache, 5u * 2 * 2 * 256 * 3 * 64 * 2);
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

TEST(LoadedModel, BytesReadAsAPersonWouldSayThem) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
  EXPECT_EQ(format_bytes(uint64_t{7} << 30), "7.00 GiB");
  EXPECT_EQ(format_bytes(123'456'789), "118 MiB");
}

}  // namespace
}  // namespace ropewalk
