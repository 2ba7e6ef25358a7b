// A whole model is quantised: with the same bytes whatever interrupts it, better than by rounding,
// and as the ordinary reader reads it.
#include <gmock/gmock.h>

#include <map>

#include "core/layerwise/quantize_run.h"
#include "tests/error_of.h"
#include "tests/files.h"
#include "tests/layerwise/layer_rig.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kModel[] = "dense-f16";

struct Interrupted {};

struct Job {
  explicit Job(const LayerRig& rig) : texts(rig.texts()) {
    job.base = rig.checkpoint.get();
    job.on = &rig.device;
    job.texts = &texts;
    job.settings.threads = rig.device.info().lanes;
    job.shard_bytes = UINT64_MAX;
    job.fingerprint = {{"test", 1}};
    job.report = [this](const MatrixReport& matrix, double done) {
      reports.push_back(matrix);
      shares.push_back(done);
    };
    job.tick = [this] {
      if (ticks-- == 0) throw Interrupted{};
    };
  }

  // To the end, or to the interruption: then false.
  bool run(const fs::path& folder, int ticks_left) {
    ticks = ticks_left;
    try {
      QuantizeRun run(job, folder);
      run.run();
      matrices = run.matrices();
      run.folder().add_text("config.json", "{}");
      run.finish();
      return true;
    } catch (const Interrupted&) {
      return false;
    }
  }

  std::vector<std::vector<int32_t>> texts;
  QuantizeJob job;
  std::vector<MatrixReport> reports;
  std::vector<double> shares;
  Json matrices;
  int ticks = -1;
};

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder))
    files[entry.path().filename().string()] = read_file(entry.path());
  return files;
}

TEST(QuantizeRun, HasTheSameBytesForAnyThreads) {
  const TemporaryFolder folder;
  std::map<std::string, std::string> first;
  for (const uint32_t threads : {1u, 2u, 4u}) {
    const LayerRig rig(kModel, threads);
    const fs::path out = folder.path() / std::to_string(threads);
    ASSERT_TRUE(Job(rig).run(out, -1));
    const auto files = files_of(out);
    EXPECT_EQ(files.size(), 2u) << "nothing of the run's own is left";
    if (first.empty()) first = files;
    EXPECT_EQ(files, first) << threads;
  }
}

TEST(QuantizeRun, GoesOnWithTheSameBytes) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job whole(rig);
  ASSERT_TRUE(whole.run(folder.path() / "whole", -1));
  Job parts(rig);
  int runs = 1;
  while (!parts.run(folder.path() / "parts", 23)) {
    ++runs;
    EXPECT_FALSE(fs::exists(folder.path() / "parts/config.json"));
    EXPECT_FALSE(fs::exists(folder.path() / "parts/model.safetensors"));
    ASSERT_LT(runs, 100);
  }
  EXPECT_GT(runs, 4);
  EXPECT_EQ(files_of(folder.path() / "parts"), files_of(folder.path() / "whole"));
  EXPECT_EQ(parts.matrices, whole.matrices);
}

// All matrices of a layer see what its dense weights compute, so of the first layer those that no
// other one comes before are the same; the second layer sees the quantised first one.
TEST(QuantizeRun, LayerByLayerItGoesOnToo) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job sequential(rig), whole(rig), parts(rig);
  ASSERT_TRUE(sequential.run(folder.path() / "sequential", -1));
  whole.job.true_sequential = parts.job.true_sequential = false;
  ASSERT_TRUE(whole.run(folder.path() / "whole", -1));
  int runs = 1;
  while (!parts.run(folder.path() / "parts", 23)) ASSERT_LT(++runs, 100);
  EXPECT_GT(runs, 4);
  EXPECT_EQ(files_of(folder.path() / "parts"), files_of(folder.path() / "whole"));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(whole.matrices[i], sequential.matrices[i]) << i;
  for (size_t i = 3; i < whole.matrices.size(); ++i)
    EXPECT_NE(whole.matrices[i]["error"], sequential.matrices[i]["error"]) << i;
}

// What down sees in the first layer is what the dense model computes there: it is rounded as where
// all before it stays dense.
TEST(QuantizeRun, LayerByLayerInputsAreTheDenseLayers) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job layers(rig), alone(rig);
  layers.job.true_sequential = false;
  ASSERT_TRUE(layers.run(folder.path() / "layers", -1));
  alone.job.skip = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"};
  ASSERT_TRUE(alone.run(folder.path() / "alone", -1));
  EXPECT_EQ(alone.matrices[0]["name"], "model.layers.0.mlp.down_proj");
  EXPECT_EQ(layers.matrices[6], alone.matrices[0]);
}

// Phi-3 stores q, k and v as one layer, and gate and up: they are quantised as one.
TEST(QuantizeRun, LayersThatAreStoredAsOneAreQuantisedAsOne) {
  LayerRig rig("phi3-window", 1);
  const TemporaryFolder folder;
  Job job(rig);
  job.job.settings.bits = 8;
  const fs::path out = folder.path() / "out";
  ASSERT_TRUE(job.run(out, -1));
  EXPECT_EQ(job.matrices[0]["name"], "model.layers.0.self_attn.qkv_proj");
  EXPECT_EQ(job.matrices[2]["name"], "model.layers.0.mlp.gate_up_proj");
  Json config = parse_json(read_file(rig.config.model / "config.json"), {"c", ExitCode::model});
  config["quantization_config"] = {
      {"bits", 8}, {"group_size", 32}, {"desc_act", true}, {"sym", true}, {"quant_method", "gptq"}};
  write_file(out / "config.json", config.dump());
  const auto packed = Checkpoint::open(out, config_families());
  Config with_packed = rig.config;
  with_packed.model = out;
  Runtime runtime(rig.registry, CheckpointWeights(*packed), fixture_settings(with_packed));
  const std::vector<int32_t> text = rig.texts().front();
  EXPECT_LT(max_difference(score(runtime, text, nullptr).logprobs,
                           logprobs_of("phi3-window", rig.config, text)),
            0.05);
}

TEST(QuantizeRun, ReportsEachMatrixOnce) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job job(rig);
  ASSERT_TRUE(job.run(folder.path() / "out", -1));
  ASSERT_EQ(job.reports.size(), 7 * rig.checkpoint->config().layers);
  EXPECT_TRUE(std::ranges::is_sorted(job.shares));
  EXPECT_NEAR(job.shares.back(), 1, 1e-9);
  double solved = 0, nearest = 0;
  for (const MatrixReport& matrix : job.reports) {
    EXPECT_LT(matrix.error, matrix.nearest) << matrix.name;
    solved += matrix.error;
    nearest += matrix.nearest;
  }
  EXPECT_LT(solved, 0.7 * nearest);
  ASSERT_EQ(job.matrices.size(), job.reports.size());
  EXPECT_EQ(job.matrices[3]["name"], "model.layers.0.self_attn.o_proj");
}

// A reader of files that another reader of ours knows: what is in them is not far from the base.
TEST(QuantizeRun, WritesWhatTheReaderReads) {
  LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job job(rig);
  job.job.settings.bits = 8;
  const fs::path out = folder.path() / "out";
  ASSERT_TRUE(job.run(out, -1));
  Json config = parse_json(read_file(rig.config.model / "config.json"), {"c", ExitCode::model});
  config["quantization_config"] = {
      {"bits", 8}, {"group_size", 32}, {"desc_act", true}, {"sym", true}, {"quant_method", "gptq"}};
  write_file(out / "config.json", config.dump());
  const auto packed = Checkpoint::open(out, config_families());
  Config with_packed = rig.config;
  with_packed.model = out;
  Runtime runtime(rig.registry, CheckpointWeights(*packed), fixture_settings(with_packed));
  const std::vector<int32_t> text = rig.texts().front();
  EXPECT_LT(
      max_difference(score(runtime, text, nullptr).logprobs, logprobs_of(kModel, rig.config, text)),
      0.05);
}

TEST(QuantizeRun, RefusesAnotherRunsFolder) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job job(rig);
  ASSERT_FALSE(job.run(folder.path() / "out", 30));
  Job other(rig);
  other.job.fingerprint = {{"test", 2}};
  expect_error(ExitCode::usage, AllOf(HasSubstr("fingerprint.test"), HasSubstr("--fresh")),
               [&] { QuantizeRun(other.job, folder.path() / "out"); });
  other.job.start = quantize::Start::anew;
  other.job.settings.bits = 2;
  EXPECT_TRUE(other.run(folder.path() / "out", -1));
  folder.write("mine/notes.txt", "of the user's");
  expect_error(ExitCode::usage, HasSubstr("is not empty, found notes.txt"),
               [&] { QuantizeRun(job.job, folder.path() / "mine"); });
}

TEST(QuantizeRun, NoticesAnotherRunInItsFolder) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job job(rig);
  const QuantizeRun first(job.job, folder.path() / "out");
  expect_error(ExitCode::usage, HasSubstr("is held by another run"),
               [&] { QuantizeRun(job.job, folder.path() / "out"); });
}

// A bit flipped in what a killed run left.
TEST(QuantizeRun, NoticesDamageToWhatIsDone) {
  const LayerRig rig(kModel, 1);
  for (const char* file : {"model.safetensors.partial", "activations"}) {
    const TemporaryFolder folder;
    Job job(rig);
    const fs::path out = folder.path() / "out";
    ASSERT_FALSE(job.run(out, 40));
    size_t flipped = 0;
    for (const auto& [name, bytes] : files_of(out)) {
      if (name.find(file) == std::string::npos) continue;
      std::string spoilt = bytes;
      for (size_t i = 0; i < spoilt.size(); i += 64) spoilt[i] = static_cast<char>(spoilt[i] ^ 1);
      write_file(out / name, spoilt);
      ++flipped;
    }
    ASSERT_GT(flipped, 0u);
    expect_error(
        ExitCode::model,
        AllOf(HasSubstr("has changed since the earlier run wrote it"), HasSubstr("--fresh")),
        [&] { QuantizeRun(job.job, out).run(); });
  }
}

TEST(QuantizeRun, RefusesWhatDoesNotFit) {
  const TemporaryFolder folder;
  const auto refused = [&](const char* model, uint8_t bits, uint32_t group) {
    const LayerRig rig(model, 1);
    Job job(rig);
    job.job.settings.bits = bits;
    job.job.settings.group_size = group;
    return error_of([&] { QuantizeRun(job.job, folder.path() / "out"); });
  };
  EXPECT_THAT(refused("gptq-b4-g32", 4, 32), HasSubstr("3 "));
  EXPECT_THAT(refused("gptq-b4-g32", 4, 32), HasSubstr("is quantised, expected the f16"));
  EXPECT_THAT(refused("dense-f16", 4, 128),
              HasSubstr("2 model.layers.0.self_attn.q_proj: has 64 inputs, which groups of 128 do "
                        "not divide"));
  EXPECT_FALSE(fs::exists(folder.path() / "out")) << "nothing half-written";
}

TEST(QuantizeRun, RoundsToNearestWhereAsked) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job job(rig);
  job.job.method = QuantizeMethod::nearest;
  ASSERT_TRUE(job.run(folder.path() / "out", -1));
  for (const MatrixReport& matrix : job.reports) {
    EXPECT_TRUE(matrix.rounded);
    EXPECT_EQ(matrix.error, matrix.nearest);
  }
}

}  // namespace
}  // namespace ropewalk::test
