// A whole model quantised by the device's solver, beside the host's: on the emulator or a GPU.
#include <map>

#include "core/layerwise/quantize_run.h"
#include "tests/cuda/lying_solver.h"
#include "tests/cuda/quantize_device.h"
#include "tests/error_of.h"
#include "tests/files.h"
#include "tests/layerwise/layer_rig.h"

namespace ropewalk::test {
namespace {

struct Made {
  std::map<std::string, std::string> files;
  std::vector<MatrixReport> matrices;
};

// A model of f16 layer by layer, on the device's activations in f16.
class CudaQuantizeModel : public CudaQuantize {
 protected:
  struct Interrupted {};
  enum class SolveOn { host, device };

  // `device_bytes`: for values between the layers.
  Made made_on(SolveOn solver, const std::filesystem::path& out, int ticks, uint64_t device_bytes,
               LyingSolver::Lies lies = {}) {
    Config config = config_of(test_backends().front(), "dense-f16");
    config.context.length = LayerRig::kTokens;
    LayerRig rig(std::move(config));
    const std::vector<std::vector<int32_t>> texts = rig.texts();
    Made made;
    EXPECT_NE(rig.device.solver(), nullptr);
    QuantizeJob job{};
    job.base = rig.checkpoint.get();
    job.on = &rig.device;
    job.texts = &texts;
    LyingSolver liar(*rig.device.solver(), std::move(lies));
    job.solver = solver == SolveOn::device ? &liar : nullptr;
    job.device_bytes = device_bytes;
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

// From the host's memory, where values are in files, and from the device's.
TEST_F(CudaQuantizeModel, RefusesInputsBeyondF16) {
  const LayerRig rig(config_of(test_backends().front(), "dense-f16"));
  const quantize::Settings settings;
  for (const float value : {65504.0f, 70000.0f})
    for (const bool on_device : {false, true}) {
      std::vector<float> x(40 * 32, 1);
      x[777] = value;
      const auto bytes = std::as_bytes(std::span(x));
      ValueRows rows;
      if (on_device) {
        rows.device.bytes = bytes.size();
        abi::Device& device = rig.device.device();
        expect_ok(device.allocate(abi::Arena::scratch, bytes.size(), &rows.device.buffer));
        expect_ok(device.write(rows.device, bytes));
      } else {
        rows.host.assign(bytes.begin(), bytes.end());
      }
      SetSolver solver(rig.device, rig.device.solver(), {.inputs = 32, .layer = "q_proj"},
                       settings);
      const std::string said = error_of([&] { solver.add(StoredType::f32, rows); });
      if (value < 65520)
        EXPECT_EQ(said, "no error");
      else
        EXPECT_THAT(said, testing::AllOf(testing::StartsWith("10 q_proj: reads a value"),
                                         testing::HasSubstr("too large for f16"),
                                         testing::HasSubstr("take --solver host")));
    }
}

// The same inputs for the first set, but for their rounding to f16: few codes differ. What follows
// sees other inputs where one does.
TEST_F(CudaQuantizeModel, IsAsGoodAsTheHosts) {
  const TemporaryFolder folder;
  const Made host = made_on(SolveOn::host, folder.path() / "host", -1, 0);
  const Made device = made_on(SolveOn::device, folder.path() / "device", -1, 0);
  ASSERT_EQ(device.matrices.size(), host.matrices.size());
  ASSERT_GT(host.matrices.size(), 6u);
  for (size_t i = 0; i < host.matrices.size(); ++i) {
    const MatrixReport &ours = device.matrices[i], &meant = host.matrices[i];
    EXPECT_EQ(ours.rounded, false) << ours.name;
    EXPECT_NEAR(ours.error, meant.error, (i < 3 ? 5e-3 : 3e-2) * meant.error) << ours.name;
    EXPECT_NEAR(ours.nearest, meant.nearest, (i < 3 ? 1e-3 : 3e-2) * meant.nearest) << ours.name;
  }
}

// The first set of each run.
TEST_F(CudaQuantizeModel, EndsWhereTheDeviceIsWrong) {
  const TemporaryFolder folder;
  const LyingSolver::Lies lies{
      .solve = [](abi::RoundedRows& result) { result.codes.front() ^= 1; }};
  made_on(SolveOn::device, folder.path() / "gone-on", 65, 0);
  for (const char* name : {"new", "gone-on"})
    EXPECT_THAT(error_of([&] { made_on(SolveOn::device, folder.path() / name, -1, 0, lies); }),
                testing::HasSubstr("found rounded weights that the host does not find"));
}

// Wherever the values between the layers are, at first and when the run goes on.
TEST_F(CudaQuantizeModel, GoesOnWithTheSameBytes) {
  constexpr uint64_t kMuch = UINT64_MAX;
  const TemporaryFolder folder;
  const Made whole = made_on(SolveOn::device, folder.path() / "whole", -1, 0);
  for (const auto& [first, then] : {std::pair(uint64_t{0}, uint64_t{0}), std::pair(kMuch, kMuch),
                                    std::pair(kMuch, uint64_t{0}), std::pair(uint64_t{0}, kMuch)}) {
    const std::filesystem::path out =
        folder.path() / (std::to_string(first) + "-" + std::to_string(then));
    Made parts;
    int runs = 0;
    while (parts.files.empty() && ++runs < 50)
      parts = made_on(SolveOn::device, out, 65, runs == 1 ? first : then);
    EXPECT_GE(runs, 2);
    EXPECT_LT(runs, 50);
    EXPECT_EQ(parts.files, whole.files);
  }
}

}  // namespace
}  // namespace ropewalk::test
