// A whole model is quantised: with the same bytes whatever interrupts it, better than by rounding,
// and as the ordinary reader reads it.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
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

struct Mode {
  const char* name;
  bool true_sequential, asymmetric_calibration;
};

struct Job {
  explicit Job(const LayerRig& rig) : Job(rig, {"usual", true, false}) {}
  Job(const LayerRig& rig, const Mode& mode) : texts(rig.texts()) {
    job.true_sequential = mode.true_sequential;
    job.asymmetric_calibration = mode.asymmetric_calibration;
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

class QuantizeModes : public ::testing::TestWithParam<Mode> {
 protected:
  const LayerRig rig{kModel, 1};
  const TemporaryFolder folder;
};

TEST_P(QuantizeModes, GoOnWithTheSameBytes) {
  Job whole(rig, GetParam()), parts(rig, GetParam());
  ASSERT_TRUE(whole.run(folder.path() / "whole", -1));
  EXPECT_EQ(files_of(folder.path() / "whole").size(), 2u) << "nothing of the run's own is left";
  int runs = 1;
  while (!parts.run(folder.path() / "parts", 23)) {
    EXPECT_FALSE(fs::exists(folder.path() / "parts/config.json"));
    EXPECT_FALSE(fs::exists(folder.path() / "parts/model.safetensors"));
    ASSERT_LT(++runs, 100);
  }
  EXPECT_GT(runs, 4);
  EXPECT_EQ(files_of(folder.path() / "parts"), files_of(folder.path() / "whole"));
  EXPECT_EQ(parts.matrices, whole.matrices);
}

// The first set's inputs are the dense model's in every mode; what others see and aim at differs.
TEST_P(QuantizeModes, DifferFromTheSecondSetOn) {
  Job usual(rig), other(rig, GetParam());
  ASSERT_TRUE(usual.run(folder.path() / "usual", -1));
  ASSERT_TRUE(other.run(folder.path() / "other", -1));
  const bool same = GetParam().true_sequential && !GetParam().asymmetric_calibration;
  for (size_t i = 0; i < other.matrices.size(); ++i)
    EXPECT_EQ(other.matrices[i] == usual.matrices[i], same || i < 3) << i;
}

INSTANTIATE_TEST_SUITE_P(All, QuantizeModes,
                         ::testing::Values(Mode{"usual", true, false},
                                           Mode{"by_layer", false, false},
                                           Mode{"asymmetric", true, true},
                                           Mode{"by_layer_asymmetric", false, true}),
                         [](const auto& row) { return std::string(row.param.name); });

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

// Rounding to nearest gives a layer the same weights in both modes, so the next one sees the same.
TEST(QuantizeRun, LayerByLayerTheNextLayerSeesTheRoundedOne) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job layers(rig), usual(rig);
  layers.job.true_sequential = false;
  layers.job.method = usual.job.method = QuantizeMethod::nearest;
  ASSERT_TRUE(layers.run(folder.path() / "layers", -1));
  ASSERT_TRUE(usual.run(folder.path() / "usual", -1));
  EXPECT_EQ(usual.matrices[7]["name"], "model.layers.1.self_attn.q_proj");
  EXPECT_EQ(layers.matrices[7], usual.matrices[7]);
}

TEST(QuantizeRun, SeesEveryText) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  const auto error_of = [&](size_t changed) {
    Job job(rig);
    job.job.method = QuantizeMethod::nearest;
    if (changed < job.texts.size())
      for (int32_t& id : job.texts[changed])
        id = (id + 1) % static_cast<int32_t>(rig.checkpoint->config().vocab_size);
    job.run(folder.path() / std::to_string(changed), -1);
    return job.reports.front().error;
  };
  const size_t count = rig.texts().size();
  const double usual = error_of(count);
  for (size_t text = 0; text < count; ++text) EXPECT_NE(error_of(text), usual) << text;
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
  EXPECT_EQ(job.matrices.size(), job.reports.size());
}

struct Stored {
  const char* model;
  std::vector<std::string> layer;  // the first layer's matrices, as the file stores them
};

class QuantizeWrites : public ::testing::TestWithParam<Stored> {};

// What the ordinary reader reads is not far from the base. Phi-3 stores q, k and v as one layer,
// and gate and up: they are quantised as one.
TEST_P(QuantizeWrites, WhatTheReaderReads) {
  LayerRig rig(GetParam().model, 1);
  const TemporaryFolder folder;
  Job job(rig);
  job.job.settings.bits = 8;
  const fs::path out = folder.path() / "out";
  ASSERT_TRUE(job.run(out, -1));
  for (size_t i = 0; i < GetParam().layer.size(); ++i)
    EXPECT_EQ(job.matrices[i]["name"], "model.layers.0." + GetParam().layer[i]);
  EXPECT_EQ(job.matrices.size(), GetParam().layer.size() * rig.checkpoint->config().layers);
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
                           logprobs_of(GetParam().model, rig.config, text)),
            0.05);
}

INSTANTIATE_TEST_SUITE_P(
    All, QuantizeWrites,
    ::testing::Values(Stored{kModel,
                             {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                              "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}},
                      Stored{"phi3-window",
                             {"self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj",
                              "mlp.down_proj"}}),
    [](const auto& row) { return row.param.layer.size() == 7 ? "apart" : "as_one"; });

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
}

TEST(QuantizeRun, NoticesAnotherRunInItsFolder) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  Job job(rig);
  const QuantizeRun first(job.job, folder.path() / "out");
  expect_error(ExitCode::usage, HasSubstr("is held by another run"),
               [&] { QuantizeRun(job.job, folder.path() / "out"); });
}

// A model whose down_proj has the most inputs, interrupted after they have been written.
TEST(QuantizeRun, ActivationsTakeTheRoomThatThePlanTells) {
  Config config = LayerRig::config_with(kModel, 1);
  config.model = RW_SOURCE_DIR "/models/airophin-mini-f16";
  const LayerRig rig(config);
  const TemporaryFolder folder;
  Job job(rig);
  QuantizeRun run(job.job, folder.path() / "out");
  job.ticks = 55;
  EXPECT_THROW(run.run(), Interrupted);
  uint64_t bytes = 0;
  for (const auto& [name, contents] : files_of(folder.path() / "out"))
    if (name.starts_with("quantize.activations")) bytes += contents.size();
  EXPECT_EQ(bytes, run.plan().activation_bytes);
  // Before q k v and before down: a residual, and what the layers read.
  EXPECT_EQ(bytes, 276 * (2 * 192 + 192 + 512) * sizeof(float));
}

// A limit on the size of files stands for a full disk.
TEST(QuantizeRun, GoesOnWhenTheDiskHasRoomAgain) {
  const LayerRig rig(kModel, 1);
  const TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  Job job(rig);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  expect_error(ExitCode::output, HasSubstr("model.safetensors.partial: cannot be written"),
               [&] { job.run(out, -1); });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(fs::exists(out / "model.safetensors"));
  EXPECT_FALSE(fs::exists(out / "config.json"));
  ASSERT_TRUE(job.run(out, -1));
  ASSERT_TRUE(job.run(folder.path() / "whole", -1));
  EXPECT_EQ(files_of(out), files_of(folder.path() / "whole"));
}

// A killed run's files with flipped bits, or cut short.
TEST(QuantizeRun, NoticesDamageToWhatIsDone) {
  const LayerRig rig(kModel, 1);
  const std::vector<std::string> files = {"model.safetensors.partial", "quantize.activations-?",
                                          "quantize.activations-dense-?"};
  for (size_t damage = 0; damage < 2 * files.size(); ++damage) {
    const std::string& file = files[damage / 2];
    const TemporaryFolder folder;
    Job job(rig, {"asymmetric", true, true});
    const fs::path out = folder.path() / "out";
    ASSERT_FALSE(job.run(out, 60));
    size_t flipped = 0;
    for (const auto& [name, bytes] : files_of(out)) {
      if (name.size() != file.size() || !file.starts_with(name.substr(0, name.size() - 1)))
        continue;
      std::string spoilt = bytes;
      if (damage % 2) spoilt.resize(spoilt.size() / 8);
      for (size_t i = 0; damage % 2 == 0 && i < spoilt.size(); i += 64)
        spoilt[i] = static_cast<char>(spoilt[i] ^ 1);
      write_file(out / name, spoilt);
      ++flipped;
    }
    ASSERT_GT(flipped, 0u) << file;
    expect_error(
        ExitCode::model,
        AllOf(HasSubstr("has changed since the earlier run wrote it"), HasSubstr("--fresh")),
        [&] { QuantizeRun(job.job, out).run(); });
  }
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
