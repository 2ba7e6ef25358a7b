// A set on the device is rounded as the host does in every setting; a device whose solver is wrong
// is found out by its first set, wherever it is wrong.
#include "core/layerwise/set_solver.h"
#include "tests/cuda/lying_solver.h"
#include "tests/cuda/quantize_device.h"
#include "tests/error_of.h"
#include "tests/layerwise/layer_rig.h"
#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

constexpr uint32_t kWidth = 40, kRows = 70;

class CudaQuantizeCheck : public CudaQuantize {
 protected:
  // What a set says that is solved with these lies.
  std::string said(LyingSolver::Lies lies, bool check) {
    const LayerRig rig(config_of(test_backends().front(), "dense-f16"));
    LyingSolver liar(*rig.device.solver(), std::move(lies));
    const std::vector<float> x = uneven_inputs(100, kWidth, 1);
    const auto bytes = std::as_bytes(std::span(x));
    const std::vector<float> weight = Noise(2).values(size_t{kRows} * kWidth);
    const quantize::Settings settings{.group_size = 16, .threads = 1};
    return error_of([&] {
      SetSolver solver(rig.device, &liar, {.inputs = kWidth, .check = check, .layer = "q_proj"},
                       settings);
      solver.add(StoredType::f32, {.host = {bytes.begin(), bytes.end()}});
      solver.settle();
      const auto factor = solver.factorise();
      solver.round(weight, kRows, &*factor);
    });
  }

  void expect_found(const LyingSolver::Lies& lies, const char* what) {
    EXPECT_EQ(said(lies, false), "no error");
    EXPECT_THAT(said(lies, true),
                testing::AllOf(testing::StartsWith("7 q_proj: the device's solver found "),
                               testing::HasSubstr(what), testing::HasSubstr("--solver host")));
  }
};

TEST_F(CudaQuantizeCheck, TakesWhatIsRight) { EXPECT_EQ(said({}, true), "no error"); }

TEST_F(CudaQuantizeCheck, FindsWrongSums) {
  expect_found({.gram = [](std::span<double> lower) { lower[0] *= 1.01; }}, "sums of inputs");
  expect_found({.gram = [](std::span<double> lower) { lower[39 * kWidth + 20] += 1; }},
               "sums of inputs");
  expect_found({.gram = [](std::span<double> lower) { lower[39 * kWidth + 39] = NAN; }},
               "sums of inputs");
}

TEST_F(CudaQuantizeCheck, FindsAWrongFactor) {
  expect_found({.upper = [](std::span<float> upper) { upper[0] *= 1.01f; }}, "a factor");
  expect_found(
      {.upper = [](std::span<float> upper) { upper[38 * kWidth + 39] += 0.01f * upper[38 * 41]; }},
      "a factor");
  expect_found({.upper = [](std::span<float> upper) { upper[39 * kWidth] = 1; }}, "a factor");
}

TEST_F(CudaQuantizeCheck, FindsWrongCodes) {
  expect_found({.solve = [](abi::RoundedRows& result) { result.codes[0] ^= 1; }},
               "rounded weights");
  expect_found({.solve = [](abi::RoundedRows& result) { result.codes[39 * kRows + 63] ^= 1; }},
               "rounded weights");
  expect_found({.solve = [](abi::RoundedRows& result) { result.scales[2 * kRows + 63] ^= 1; }},
               "rounded weights");
  expect_found({.solve = [](abi::RoundedRows& result) { result.zeros[5] ^= 1; }},
               "rounded weights");
}

// Those of the weights stay right.
TEST_F(CudaQuantizeCheck, FindsWrongErrors) {
  int calls = 0;
  const auto lie = [&](std::span<double> sums) {
    if (calls++ % 2 == 0)
      for (double& sum : sums) sum *= 1.01;
  };
  EXPECT_THAT(said({.energies = lie}, true),
              testing::AllOf(testing::StartsWith("7 "), testing::HasSubstr("found errors")));
}

struct Setting {
  const char* name;
  quantize::Settings settings;
  bool keep_upper = false;
};

class SetOnTheDevice : public CudaQuantizeCheck, public testing::WithParamInterface<Setting> {};

// Texts of several lengths, an input that is dead, a row whose scales are too large.
TEST_P(SetOnTheDevice, IsRoundedAsTheHostDoes) {
  const LayerRig rig(config_of(test_backends().front(), "dense-f16"));
  quantize::Settings settings = GetParam().settings;
  settings.threads = 1;
  const bool keeps = GetParam().keep_upper;
  SetSolver solver(rig.device, rig.device.solver(),
                   {.inputs = kWidth, .keep_upper = keeps, .check = !keeps}, settings);
  SetSolver host(rig.device, nullptr, {.inputs = kWidth}, settings);
  for (const uint32_t tokens : {60u, 100u, 40u}) {
    std::vector<float> x = uneven_inputs(tokens, kWidth, tokens);
    for (size_t i = 7; i < x.size(); i += kWidth) x[i] = 0;
    const auto bytes = std::as_bytes(std::span(x));
    for (SetSolver* each : {&solver, &host})
      each->add(StoredType::f32, {.host = {bytes.begin(), bytes.end()}});
  }
  solver.settle();
  host.settle();
  EXPECT_EQ(solver.dead(), host.dead());
  EXPECT_TRUE(solver.dead()[7]);
  auto factor = solver.factorise();
  ASSERT_EQ(factor->upper.size(), kWidth * kWidth);
  const auto host_factor = host.factorise();
  EXPECT_EQ(factor->order, host_factor->order);
  if (keeps) factor->pull = Noise(4).values(size_t{kWidth} * kWidth);

  std::vector<float> weight = Noise(2).values(size_t{kRows} * kWidth);
  for (size_t i = 65 * kWidth; i < 66 * kWidth; ++i) weight[i] *= 1e7f;
  std::vector<float> work = weight;
  const quantize::QuantizedMatrix meant =
      quantize::solve(work, kRows, *factor, solver.dead(), settings);
  const quantize::QuantizedMatrix nearest =
      quantize::round_to_nearest(weight, kRows, kWidth, settings);
  for (const bool solved : {true, false}) {
    const quantize::QuantizedMatrix& right = solved ? meant : nearest;
    const RoundedMatrix found = solver.round(weight, kRows, solved ? &*factor : nullptr);
    EXPECT_EQ(found.solved, solved);
    EXPECT_EQ(found.chosen.codes, right.codes);
    EXPECT_EQ(found.chosen.scales, right.scales);
    EXPECT_EQ(found.chosen.zeros, right.zeros);
    EXPECT_EQ(found.chosen.group_of, right.group_of);
    EXPECT_EQ(found.chosen.clipped_scales, right.clipped_scales);
    EXPECT_GT(found.chosen.clipped_scales, 0u);
    const RoundedMatrix beside = host.round(weight, kRows, solved ? &*host_factor : nullptr);
    EXPECT_NEAR(found.nearest_error, beside.nearest_error, 1e-3 * beside.nearest_error);
    if (solved) {
      EXPECT_NE(found.error, found.nearest_error);
    } else {
      EXPECT_EQ(found.error, found.nearest_error);
    }
  }
}

using quantize::Order;
using quantize::Search;
using quantize::ZeroForm;

INSTANTIATE_TEST_SUITE_P(
    CudaQuantizeCheck, SetOnTheDevice,
    testing::Values(Setting{"usual", {}},
                    Setting{"short", {.group_size = 16, .short_groups = true}},
                    Setting{"fixed", {.group_size = 16, .order = Order::fixed}},
                    Setting{"gar", {.group_size = 16, .order = Order::gar}},
                    Setting{"v1", {.bits = 3, .symmetric = false}},
                    Setting{"v2", {.symmetric = false, .zeros = ZeroForm::v2}},
                    Setting{"plain", {.group_size = 0, .search = Search::none}},
                    Setting{"mse", {.search = Search::mse}},
                    Setting{"autogptq", {.search = Search::none, .as_autogptq = true}},
                    Setting{"pull", {}, true}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace ropewalk::test
