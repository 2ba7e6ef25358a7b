// What the device does beside running graphs, on the emulator or a GPU: it measures itself and
// fills its memory with random numbers. And on the emulator: GPUs and options in several orders of
// threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>

#include "core/abi/random_fill.h"
#include "core/generate/generate.h"
#include "tests/end_to_end/backends.h"

namespace ropewalk::test {
namespace {

constexpr float kNear = 2e-2f;  // of logits, as x is rounded to f16

class CudaDevice : public testing::Test {
 protected:
  void SetUp() override {
    const TestBackend backend = test_backends().front();
    const std::string reason = why_missing(backend);
    if (!reason.empty()) GTEST_SKIP() << reason;
    Config config;
    config.backend.plugin.name = backend.backend;
    registry_ = std::make_unique<Registry>(make_registry(config));
    opened_ = std::make_unique<OpenDevice>(open_device(*registry_, config.backend));
  }

  abi::Device& device() { return *opened_->device; }

 private:
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<OpenDevice> opened_;
};

TEST_F(CudaDevice, MeasuresMemory) {
  for (const auto what : {abi::Measurement::read_bandwidth, abi::Measurement::copy_bandwidth}) {
    double value = 0;
    const abi::Status status = device().measure(what, &value);
    EXPECT_TRUE(status.ok()) << status.message;
    EXPECT_GT(value, 1e6);
  }
}

TEST_F(CudaDevice, FillsMemoryWithRandomNumbers) {
  constexpr uint64_t kBytes = 1 << 16;
  void* extension = nullptr;
  ASSERT_TRUE(device().extension(abi::kRandomFill, &extension).ok());
  auto* fill = static_cast<abi::RandomFill*>(extension);
  abi::Buffer buffer{};
  ASSERT_TRUE(device().allocate(abi::Arena::cache, kBytes, &buffer).ok());
  const std::vector<std::byte> before(kBytes, std::byte{0xee});
  ASSERT_TRUE(device().write({buffer, 0, kBytes}, before).ok());

  // All but 32 bytes at both ends.
  const abi::Status status = fill->fill({buffer, 32, kBytes - 64}, 7);
  ASSERT_TRUE(status.ok()) << status.message;
  std::vector<uint16_t> halves(kBytes / 2);
  ASSERT_TRUE(device().read(std::as_writable_bytes(std::span(halves)), {buffer, 0, kBytes}).ok());
  std::set<uint16_t> seen;
  for (size_t i = 0; i < halves.size(); ++i) {
    const bool inside = i >= 16 && i < halves.size() - 16;
    if (!inside) {
      ASSERT_EQ(halves[i], 0xeeeeu) << i;
      continue;
    }
    const uint32_t exponent = halves[i] >> 10 & 0x1fu;  // of 2^(exponent - 15)
    ASSERT_TRUE(exponent == 12 || exponent == 13) << i << ": " << halves[i];
    seen.insert(halves[i]);
  }
  // 32736 random draws leave out hardly any of the 4096 possible numbers.
  EXPECT_GT(seen.size(), 4000u);

  EXPECT_EQ(fill->fill({buffer, 8, 16}, 7).code, abi::StatusCode::invalid_argument);
  EXPECT_EQ(fill->fill({buffer, 0, kBytes + 16}, 7).code, abi::StatusCode::invalid_argument);
  EXPECT_EQ(device().extension("warp-drive", &extension).code, abi::StatusCode::unsupported);
}

// A GPU and options that choose kernels.
struct Variant {
  const char *name, *capability, *options;
};

class CudaVariants : public testing::TestWithParam<Variant> {
 protected:
  static constexpr char kModel[] = "gptq-b4-airophin";
  static constexpr size_t kSingles = 3;
  using Logits = std::vector<std::vector<float>>;

  void SetUp() override {
    if (test_backends().front().name != "emulated") GTEST_SKIP() << "a GPU chooses its own order";
    setenv("EMULATOR_CAPABILITY", GetParam().capability, 1);
  }
  void TearDown() override {
    unsetenv("EMULATOR_ORDER");
    unsetenv("EMULATOR_CAPABILITY");
  }

  // The logits of a prompt and of single tokens behind it.
  static Logits logits_of(Runtime& runtime) {
    const std::vector<int32_t> ids = ids_of(kModel);
    Sequence sequence(runtime.cache());
    Logits all;
    for (size_t done = 0; done < ids.size();) {
      const size_t count = done == 0 ? ids.size() - kSingles : 1;
      const Chunk chunk{&sequence, std::span(ids).subspan(done, count), Wanted::last,
                        static_cast<uint32_t>(ids.size())};
      const std::span<const float> logits = runtime.executor().run_one(chunk);
      all.emplace_back(logits.begin(), logits.end());
      done += count;
    }
    return all;
  }
};

// They are near the CPU's. Sums of floats have an order of their own, whichever thread block ends
// last and whenever copies arrive: the bits are the same.
TEST_P(CudaVariants, AgreeWithTheCpuInEveryOrder) {
  const TestBackend backend = test_backends().front();
  Config config = config_of(backend, kModel), of_cpu = config;
  of_cpu.backend = {};
  of_cpu.backend.plugin.name = "cpu";
  FixtureModel cpu(kModel, fixture_settings(of_cpu));
  std::istringstream options(GetParam().options);
  for (std::string name, value; options >> name >> value;) set_option(config, name, value);
  FixtureModel model(kModel, fixture_settings(config));
  const Logits first = logits_of(model.runtime), truth = logits_of(cpu.runtime);
  for (size_t i = 0; i < truth.size(); ++i)
    EXPECT_THAT(first[i], testing::Pointwise(testing::FloatNear(kNear), truth[i])) << "step " << i;
  for (const char* order : {"backward", "scattered", "overlapped"}) {
    setenv("EMULATOR_ORDER", order, 1);
    EXPECT_EQ(logits_of(model.runtime), first) << order;
  }
}

// Runs of 1 key, so that there are several.
constexpr Variant kVariants[] = {
    {"default", "90", "tune min-keys=1"},
    {"own_kernels", "90", "combine own norms own logits host tune min-keys=1,stream-rows=0"},
    {"split", "90", "attention split pdl false tune min-keys=1"},
    {"wgmma", "90",
     "attention wgmma large-batch wgmma tune "
     "prompt-rows=1,lean-rows=0,tiles8-rows=0,tiles16-rows=0,tiles32-rows=0,tiles64-rows=0"},
    {"wgmma_separate", "90",
     "large-batch wgmma epilogues separate tune "
     "lean-rows=0,tiles8-rows=0,tiles16-rows=0,tiles32-rows=0,tiles64-rows=0"},
    {"cublas", "90",
     "tune "
     "prompt-rows=1,lean-rows=0,tiles8-rows=0,tiles16-rows=0,tiles32-rows=0,tiles64-rows=0"},
    {"ampere", "80", "tune min-keys=1"},
    {"turing", "75", "tune min-keys=1"}};
INSTANTIATE_TEST_SUITE_P(Options, CudaVariants, testing::ValuesIn(kVariants),
                         [](const auto& test) { return std::string(test.param.name); });

// The device finds the largest logit; where it is a banned one, the host reads the row.
TEST_F(CudaDevice, GreedyRepliesWithBansAreThoseOfTheCpu) {
  PluginChoice greedy{.name = "greedy", .key = "sampling[1]"};
  const auto reply_of = [&](const std::string& backend, const std::vector<int32_t>& bans) {
    Config config = config_of(test_backends().front(), kActOrderFixture);
    config.backend.plugin.name = backend;
    Engine engine(fixture_settings(config), TextNeed::optional);
    CachedText text{engine.runtime().cache(), engine.runtime().rope_tables()};
    Request request;
    request.prompt_ids = ids_of(kActOrderFixture);
    request.max_new_tokens = 12;
    std::vector<std::string> ids;
    for (const int32_t id : bans) ids.push_back(std::to_string(id));
    PluginChoice ban{.name = "ban-tokens", .key = "sampling[0]"};
    ban.options = {{"ids", {}, make_list(ids, {})}, {"end", {}, make_scalar("true", {})}};
    request.sampling = {ban, greedy};
    return generate(engine, text, request, {}).ids;
  };
  const std::vector<int32_t> plain = reply_of("cpu", {});
  ASSERT_EQ(plain.size(), 12u);
  const std::vector<int32_t> bans = {plain[0], plain[5]};
  const std::vector<int32_t> truth = reply_of("cpu", bans);
  EXPECT_NE(truth, plain);
  for (const auto& [banned, want] : {std::pair(std::vector<int32_t>(), plain), {bans, truth}})
    EXPECT_EQ(reply_of(test_backends().front().backend, banned), want);
}

}  // namespace
}  // namespace ropewalk::test
