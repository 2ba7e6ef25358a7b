// Bases whose weights are damaged, odd or too large.
#include <gmock/gmock.h>

#include "core/layerwise/quantize_run.h"
#include "tests/checkpoint/tiny_model.h"
#include "tests/error_of.h"
#include "tests/layerwise/layer_rig.h"

namespace ropewalk::test {
namespace {

using ::testing::HasSubstr;

const std::string kLinear = "model.layers.0.self_attn.q_proj.weight";

// A tiny model of f16, quantised on the CPU.
struct TinyRun {
  explicit TinyRun(const TinyModel& model) {
    std::filesystem::create_directory(folder.path() / "base");
    write_model(model, folder.path() / "base");
    Config config;
    config.model = folder.path() / "base";
    config.backend.plugin.name = "cpu";
    config.context.length = LayerRig::kTokens;
    rig = std::make_unique<LayerRig>(std::move(config));
    texts = rig->texts();
    job.base = rig->checkpoint.get();
    job.on = &rig->device;
    job.texts = &texts;
    job.shard_bytes = UINT64_MAX;
    job.report = [this](const MatrixReport& matrix, double) { reports.push_back(matrix); };
    job.tick = [] {};
  }

  void run() {
    QuantizeRun run(job, folder.path() / "out");
    run.run();
    run.finish();
  }

  TemporaryFolder folder;
  std::unique_ptr<LayerRig> rig;
  std::vector<std::vector<int32_t>> texts;
  QuantizeJob job;
  std::vector<MatrixReport> reports;
};

// Random f16 values in every tensor of rank 2.
TinyModel random_model() {
  TinyModel model = tiny_dense();
  uint32_t state = 1;
  for (auto& [name, tensor] : model.tensors) {
    if (tensor.shape.size() != 2) continue;
    for (size_t i = 0; i + 1 < tensor.bytes.size(); i += 2) {
      state = state * 1664525u + 1013904223u;
      const uint32_t word = 0x2c00u | (state >> 8 & 0x83ffu);  // +- 1/16 to 1/8
      tensor.bytes[i] = static_cast<char>(word & 255);
      tensor.bytes[i + 1] = static_cast<char>(word >> 8);
    }
  }
  return model;
}

void set_value(TinyTensor& tensor, size_t index, uint16_t word) {
  tensor.bytes[2 * index] = static_cast<char>(word & 255);
  tensor.bytes[2 * index + 1] = static_cast<char>(word >> 8);
}

TEST(BadBase, ASoundOneIsQuantised) {
  TinyRun run(random_model());
  run.run();
  ASSERT_EQ(run.reports.size(), 7u);
  for (const MatrixReport& matrix : run.reports) EXPECT_LT(matrix.error, matrix.nearest);
}

TEST(BadBase, NanInAWeightIsRefused) {
  TinyModel model = random_model();
  set_value(model.tensors.at(kLinear), 64 + 2, 0x7e00);
  TinyRun run(model);
  expect_error(
      ExitCode::model,
      HasSubstr(kLinear + ": found 1 values that are NaN or infinite, the first for output "
                          "1, input 2"),
      [&] { run.run(); });
  EXPECT_FALSE(std::filesystem::exists(run.folder.path() / "out/model.safetensors"));
}

TEST(BadBase, NanInATableIsRefused) {
  TinyModel model = random_model();
  set_value(model.tensors.at("lm_head.weight"), 5, 0x7c00);
  TinyRun run(model);
  expect_error(ExitCode::model, HasSubstr("lm_head.weight: found values that are NaN or infinite"),
               [&] { run.run(); });
}

// bf16 has the range of f32.
TEST(BadBase, ValuesBeyondF16AreRefused) {
  TinyModel model = random_model();
  TinyTensor& head = model.tensors.at("lm_head.weight");
  head.dtype = "BF16";
  set_value(head, 5, 0x7000);  // 1.6e29
  TinyRun run(model);
  expect_error(ExitCode::model, HasSubstr("lm_head.weight: found values too large for f16"),
               [&] { run.run(); });
}

TEST(BadBase, ScalesBeyondF16AreRefused) {
  TinyModel model = random_model();
  TinyTensor& weight = model.tensors.at(kLinear);
  weight.dtype = "BF16";
  for (size_t i = 0; i < 64; ++i) set_value(weight, i, 0x4b80);  // 1.7e7, all of an output
  TinyRun run(model);
  expect_error(ExitCode::model, HasSubstr(kLinear + ": needs 2 scales that are too large for f16"),
               [&] { run.run(); });
}

TEST(BadBase, ScalesThatF16HoldsCoarselyAreToldOf) {
  TinyModel model = random_model();
  for (size_t i = 0; i < 64; ++i) set_value(model.tensors.at(kLinear), i, 0x0010);  // 2^-20
  TinyRun run(model);
  testing::internal::CaptureStderr();
  run.run();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr(kLinear + ": 2 scales are below 2^-14, where f16 has fewer than 11 bits"));
  EXPECT_LT(run.reports[0].error, run.reports[0].nearest);
}

TEST(BadBase, AnOutputOfZerosStaysOne) {
  TinyModel model = random_model();
  for (size_t i = 0; i < 64; ++i) set_value(model.tensors.at(kLinear), i, 0);
  TinyRun run(model);
  run.run();
  EXPECT_LT(run.reports[0].error, 0.1);
}

// A norm of zeros: every input is dead, and no weight matters.
TEST(BadBase, AMatrixWithoutInputsIsRounded) {
  TinyModel model = random_model();
  for (size_t i = 0; i < 64; ++i)
    set_value(model.tensors.at("model.layers.0.input_layernorm.weight"), i, 0);
  TinyRun run(model);
  testing::internal::CaptureStderr();
  run.run();
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("q_proj: its inputs cannot be factorised with any damping"));
  EXPECT_TRUE(run.reports[0].rounded);
  EXPECT_EQ(run.reports[0].dead, 64u);
  EXPECT_EQ(run.reports[0].error, 0);
  EXPECT_FALSE(run.reports[6].rounded);
}

}  // namespace
}  // namespace ropewalk::test
