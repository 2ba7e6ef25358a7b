// The solver of `ropewalk quantize` on the device, beside the host's: matrix by matrix, and a whole
// model. On the emulator or a GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"
#include "core/layerwise/quantize_run.h"
#include "core/quantize/cholesky.h"
#include "tests/end_to_end/backends.h"
#include "tests/files.h"
#include "tests/layerwise/layer_rig.h"
#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

constexpr uint32_t kSizes[] = {1, 31, 63, 64, 65, 130, 200};

class CudaQuantize : public testing::Test {
 protected:
  void SetUp() override {
    const TestBackend backend = test_backends().front();
    const std::string reason = why_missing(backend);
    if (!reason.empty()) GTEST_SKIP() << reason;
    config_.backend.plugin.name = backend.backend;
    registry_ = std::make_unique<Registry>(make_registry(config_));
    opened_ = std::make_unique<OpenDevice>(open_device(*registry_, config_.backend));
    void* interface = nullptr;
    const abi::Status status = opened_->device->extension(abi::kQuantize, &interface);
    ASSERT_TRUE(status.ok()) << status.message;
    solver_ = static_cast<abi::QuantizeSolver*>(interface);
  }

  static void expect_ok(const abi::Status& status) { ASSERT_TRUE(status.ok()) << status.message; }

  // The sums of some inputs, on both sides: those of the device are asked for in two parts.
  quantize::Hessian sum(uint32_t inputs, uint32_t tokens, std::vector<double>& found) {
    std::vector<float> x = uneven_inputs(tokens, inputs, inputs);
    std::vector<uint16_t> halves;
    for (float& value : x) {
      halves.push_back(round_to_f16(value));
      value = to_floats(StoredType::f16, std::as_bytes(std::span(&halves.back(), 1)))[0];
    }
    const auto bytes = std::as_bytes(std::span(halves));
    const size_t first = size_t{tokens / 3} * inputs * sizeof(uint16_t);
    expect_ok(solver_->begin(inputs));
    expect_ok(solver_->gram(bytes.first(first)));
    expect_ok(solver_->gram(bytes.subspan(first)));
    found.assign(size_t{inputs} * inputs, 0);
    expect_ok(solver_->read_gram(found));
    quantize::Hessian hessian(inputs);
    hessian.add(x, 1);
    return hessian;
  }

  Config config_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<OpenDevice> opened_;
  abi::QuantizeSolver* solver_ = nullptr;
};

TEST_F(CudaQuantize, SumsInputs) {
  for (const uint32_t inputs : kSizes)
    for (const uint32_t tokens : {3u, 150u}) {
      std::vector<double> found;
      const quantize::Hessian hessian = sum(inputs, tokens, found);
      const std::vector<double>& meant = hessian.lower();
      for (size_t i = 0; i < inputs; ++i)
        for (size_t j = 0; j <= i; ++j) {
          const double size = std::sqrt(meant[i * inputs + i] * meant[j * inputs + j]);
          ASSERT_NEAR(found[i * inputs + j], meant[i * inputs + j], 2e-6 * size) << i << " " << j;
        }
    }
}

// More tokens than are summed in f32: 2048.
TEST_F(CudaQuantize, SumsManyTokens) {
  std::vector<double> found;
  const quantize::Hessian hessian = sum(5, 9000, found);
  for (size_t i = 0; i < 25; ++i)
    if (i % 5 <= i / 5) {
      ASSERT_NEAR(found[i], hessian.lower()[i], 1e-5 * hessian.lower()[i / 5 * 6]) << i;
    }
}

TEST_F(CudaQuantize, FactorsAndInverts) {
  for (const uint32_t n : kSizes) {
    std::vector<double> found;
    quantize::Hessian hessian = sum(n, 2 * n + 3, found);
    std::vector<double> matrix = hessian.lower();
    for (size_t i = 0; i < n; ++i) {
      matrix[i * n + i] += 0.1;
      for (size_t j = i + 1; j < n; ++j) matrix[i * n + j] = NAN;  // is not read
    }
    std::vector<float> upper(matrix.size());
    bool positive = false;
    expect_ok(solver_->factor({matrix, n}, upper, &positive));
    ASSERT_TRUE(positive) << n;
    ASSERT_TRUE(quantize::cholesky(matrix, n, 1));
    const std::vector<float> meant = quantize::reversed_inverse(matrix, n, 1);
    for (size_t i = 0; i < meant.size(); ++i)
      ASSERT_NEAR(upper[i], meant[i], 1e-6 * std::abs(meant[i]) + 1e-9) << n << " " << i;
  }
}

TEST_F(CudaQuantize, SaysWhereAMatrixIsNotPositive) {
  for (const double bad : {-1.0, 0.0, double{NAN}, double{INFINITY}})
    for (const size_t at : {size_t{0}, size_t{70}, size_t{129}}) {
      std::vector<double> matrix(size_t{130} * 130);
      for (size_t i = 0; i < 130; ++i) matrix[i * 131] = i == at ? bad : 1;
      std::vector<float> upper(matrix.size());
      bool positive = true;
      expect_ok(solver_->factor({matrix, 130}, upper, &positive));
      EXPECT_FALSE(positive) << bad << " " << at;
    }
}

TEST_F(CudaQuantize, FindsEnergies) {
  for (const uint32_t inputs : kSizes) {
    std::vector<double> h;
    sum(inputs, 40, h);
    for (const size_t rows : {size_t{1}, size_t{70}}) {
      const std::vector<float> x = Noise(rows).values(rows * inputs);
      std::vector<double> sums(rows);
      expect_ok(solver_->energies(x, sums));
      for (size_t r = 0; r < rows; ++r) {
        double energy = 0;
        for (size_t i = 0; i < inputs; ++i)
          for (size_t j = 0; j < inputs; ++j)
            energy += static_cast<double>(x[r * inputs + i]) *
                      static_cast<double>(x[r * inputs + j]) *
                      h[std::max(i, j) * inputs + std::min(i, j)];
        ASSERT_NEAR(sums[r], energy, 1e-9 * energy) << inputs << " " << r;
      }
    }
  }
}

// More than the emulator's device has, were it kept.
TEST_F(CudaQuantize, FreesWhatItTook) {
  for (int i = 0; i < 30; ++i) {
    expect_ok(solver_->begin(2000));
    if (i % 2) solver_->end();  // else the next begin() does
  }
}

struct Made {
  std::map<std::string, std::string> files;
  std::vector<MatrixReport> matrices;
};

// A model of f16 layer by layer, on the device's activations in f16.
class CudaQuantizeModel : public CudaQuantize {
 protected:
  struct Interrupted {};

  Made made_on(SolveOn solver, const std::filesystem::path& out, int ticks) {
    Config config = config_of(test_backends().front(), "dense-f16");
    config.context.length = LayerRig::kTokens;
    LayerRig rig(std::move(config));
    const std::vector<std::vector<int32_t>> texts = rig.texts();
    Made made;
    EXPECT_NE(device_solver(rig.device), nullptr);
    QuantizeJob job{};
    job.base = rig.checkpoint.get();
    job.on = &rig.device;
    job.texts = &texts;
    job.solver = solver;
    job.true_sequential = true;
    job.shard_bytes = UINT64_MAX;
    job.fingerprint = {{"test", 1}};
    job.report = [&](const MatrixReport& matrix, double) { made.matrices.push_back(matrix); };
    job.tick = [&] {
      if (ticks-- == 0) throw Interrupted{};
    };
    try {
      QuantizeRun run(job, out);
      run.run();
      run.finish();
      made.files = files_of(out);
    } catch (const Interrupted&) {
    }
    return made;
  }
};

// The same inputs for the first set, but for their rounding to f16: few codes differ. What follows
// sees other inputs where one does.
TEST_F(CudaQuantizeModel, IsAsGoodAsTheHosts) {
  const TemporaryFolder folder;
  const Made host = made_on(SolveOn::host, folder.path() / "host", -1);
  const Made device = made_on(SolveOn::device, folder.path() / "device", -1);
  ASSERT_EQ(device.matrices.size(), host.matrices.size());
  ASSERT_GT(host.matrices.size(), 6u);
  for (size_t i = 0; i < host.matrices.size(); ++i) {
    const MatrixReport &ours = device.matrices[i], &meant = host.matrices[i];
    EXPECT_EQ(ours.rounded, false) << ours.name;
    EXPECT_NEAR(ours.error, meant.error, (i < 3 ? 5e-3 : 3e-2) * meant.error) << ours.name;
    EXPECT_NEAR(ours.nearest, meant.nearest, (i < 3 ? 1e-3 : 3e-2) * meant.nearest) << ours.name;
  }
}

TEST_F(CudaQuantizeModel, GoesOnWithTheSameBytes) {
  const TemporaryFolder folder;
  const Made whole = made_on(SolveOn::device, folder.path() / "whole", -1);
  Made parts;
  int runs = 0;
  while (parts.files.empty() && ++runs < 50)
    parts = made_on(SolveOn::device, folder.path() / "parts", 40);
  EXPECT_GT(runs, 2);
  EXPECT_EQ(parts.files, whole.files);
}

}  // namespace
}  // namespace ropewalk::test
