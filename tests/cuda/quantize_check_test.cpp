// A device whose solver is wrong is found out by its first set, wherever it is wrong.
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
      SetSolver solver(rig.device, &liar, {.inputs = kWidth, .check = check}, settings);
      solver.add(StoredType::f32, {.host = {bytes.begin(), bytes.end()}});
      solver.settle();
      const auto factor = solver.factorise();
      solver.round(weight, kRows, &*factor);
    });
  }

  void expect_found(const LyingSolver::Lies& lies, const char* what) {
    EXPECT_EQ(said(lies, false), "no error");
    EXPECT_THAT(said(lies, true),
                testing::AllOf(testing::StartsWith("7 "), testing::HasSubstr("solver: found "),
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

}  // namespace
}  // namespace ropewalk::test
