// Quantising a base for use beside an adapter: its layers see what PEFT computes there.
#include <gtest/gtest.h>

#include <cmath>

#include "core/layerwise/adapted_weights.h"
#include "core/layerwise/quantize_run.h"
#include "tests/files.h"
#include "tests/layerwise/layer_rig.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

const std::string kAdapters = RW_FIXTURES "/adapters/";
const fs::path kModels = std::string(RW_SOURCE_DIR) + "/models";

class AdaptedOver : public ::testing::TestWithParam<const char*> {
 protected:
  const std::unique_ptr<Checkpoint> dense =
      Checkpoint::open(kModels / "airophin-mini-f16", config_families());
  const std::unique_ptr<Checkpoint> packed =
      Checkpoint::open(kModels / "airophin-mini", config_families());
  const CheckpointWeights packed_weights{*packed};
  const Adapter adapter{kAdapters + GetParam()};
};

std::vector<double> scores(const WeightSource& weights, const std::vector<int32_t>& ids) {
  RuntimeSettings settings;
  settings.config = load_config({std::string(RW_SOURCE_DIR) + "/configs/airophin-mini.yaml",
                                 {"backend=cpu", "context.kv_cache=f32"}});
  settings.max_wanted = 64;
  Registry registry = make_registry(settings.config);
  Runtime runtime(registry, weights, settings);
  return score(runtime, ids, nullptr).logprobs;
}

// All layers are quantised: the weights of a forward pass of the calibration, as a whole model.
TEST_P(AdaptedOver, QuantisedNumbersPredictsWhatPeftPredicts) {
  std::set<std::string> layers;
  for (const TensorInfo& tensor : packed->tensors())
    if (tensor.name.ends_with(".qweight"))
      layers.insert(tensor.name.substr(0, tensor.name.rfind('.')));
  ASSERT_EQ(layers.size(), 35u);
  const AdaptedWeights weights(*dense, {&adapter}, &packed_weights, layers);
  const std::string file = kAdapters + "gptq/expected.json";
  const Json expected = parse_json(read_file(file), {file, ExitCode::model});
  EXPECT_LT(max_difference(scores(weights.source(), expected["ids"].get<std::vector<int32_t>>()),
                           expected[GetParam()].get<std::vector<double>>()),
            1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, AdaptedOver,
                         ::testing::Values("lora", "rslora-patterns", "dora", "dora-linears",
                                           "lora-bias"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(UnpackedCheckpoint, ReadsAnyPart) {
  const auto dense = Checkpoint::open(kModels / "airophin-mini-f16", config_families());
  const auto packed = Checkpoint::open(kModels / "airophin-mini", config_families());
  const CheckpointWeights weights(*packed);
  const std::string layer = "model.layers.1.mlp.gate_proj";
  const UnpackedCheckpoint unpacked(*dense, &weights, {layer}, {"model.layers.0.mlp.up_proj"});
  const TensorInfo& tensor = unpacked.get(layer + ".weight");
  ASSERT_GT(tensor.shape[0], abi::kPartColumns) << "of several parts";
  std::vector<std::byte> whole(tensor.bytes);
  unpacked.read(tensor, whole);
  for (const uint64_t first : {uint64_t{0}, tensor.bytes / 2 - 4, tensor.bytes - 1200}) {
    std::vector<std::byte> part(1200);
    unpacked.read_from(tensor, first, part);
    EXPECT_TRUE(std::ranges::equal(part, std::span(whole).subspan(first, part.size()))) << first;
  }
  const TensorInfo& bias = unpacked.get("model.layers.0.mlp.up_proj.bias");
  std::vector<std::byte> zeros(bias.bytes, std::byte{1});
  unpacked.read(bias, zeros);
  EXPECT_EQ(zeros, std::vector<std::byte>(tensor.shape[0] * sizeof(float)));
}

struct Killed {};

// The bundled model's layers are quantised, those that `skip` leaves.
class QuantizeBeside : public ::testing::TestWithParam<bool> {
 protected:
  QuantizeJob job_of(const Checkpoint& base, ScaledAdapter beside) {
    QuantizeJob job{.base = &base,
                    .on = &rig.device,
                    .texts = &texts,
                    .settings = {},
                    .beside = beside,
                    .shard_bytes = UINT64_MAX,
                    .fingerprint = {{"test", 1}},
                    .report = [](const MatrixReport&, double) {},
                    .tick = [] {}};
    job.settings.threads = 2;
    return job;
  }

  Json run(const QuantizeJob& job, const std::string& out) const {
    QuantizeRun run(job, folder.path() / out);
    run.run();
    run.finish();
    return run.matrices();
  }

  static Config config() {
    Config config = load_config({std::string(RW_SOURCE_DIR) + "/configs/airophin-mini.yaml",
                                 {"backend=cpu", "context.kv_cache=f32"}});
    config.model = kModels / "airophin-mini-f16";
    return config;
  }

  const LayerRig rig{config()};
  const std::vector<std::vector<int32_t>> texts = rig.texts();
  const Adapter adapter{kAdapters + "lora"};
  const TemporaryFolder folder;
};

// The adapter changes q and v alone, so the last down_proj has the same weight in the merged model,
// and the same inputs: it must be rounded alike, which it is not without the adapter.
TEST_P(QuantizeBeside, SeesTheInputsOfTheMergedModel) {
  const MergedCheckpoint merged(*rig.checkpoint, {{{&adapter}}, StoredType::f32});
  const auto last_down = [&](const Checkpoint& base, ScaledAdapter beside, const std::string& out) {
    QuantizeJob job = job_of(base, beside);
    job.asymmetric_calibration = GetParam();
    job.skip = {"q_proj",          "k_proj",         "v_proj",          "o_proj",
                "gate_proj",       "up_proj",        "0.mlp.down_proj", "1.mlp.down_proj",
                "2.mlp.down_proj", "3.mlp.down_proj"};
    return run(job, out);
  };
  const Json beside = last_down(*rig.checkpoint, {&adapter}, "beside");
  EXPECT_EQ(beside.size(), 1u);
  EXPECT_EQ(beside, last_down(merged, {nullptr}, "merged"));
  EXPECT_NE(beside, last_down(*rig.checkpoint, {nullptr}, "alone"));
}

INSTANTIATE_TEST_SUITE_P(All, QuantizeBeside, ::testing::Bool(),
                         [](const auto& row) { return row.param ? "asymmetric" : "usual"; });

// An adapter that hardly changes anything: the layers see what quantised ones compute, as without
// it, and not what dense ones do.
TEST_F(QuantizeBeside, SeesWhatQuantisedLayersCompute) {
  const auto errors = [&](ScaledAdapter beside, bool quantised, const std::string& out) {
    QuantizeJob job = job_of(*rig.checkpoint, beside);
    job.method = QuantizeMethod::nearest;
    job.settings.bits = 3;
    if (!quantised) job.skip = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"};
    return run(job, out).back()["rtn_error"].get<double>();
  };
  const double usual = errors({nullptr}, true, "usual");
  EXPECT_NEAR(errors({&adapter, 1e-9}, true, "faint") / usual, 1, 1e-5);
  EXPECT_GT(std::abs(errors({nullptr}, false, "dense") / usual - 1), 1e-3);
}

TEST_F(QuantizeBeside, GoesOnWithTheSameBytes) {
  QuantizeJob job = job_of(*rig.checkpoint, {&adapter});
  const Json whole = run(job, "whole");
  int ticks = 0, runs = 1;
  job.tick = [&] {
    if (++ticks % 60 == 0) throw Killed{};
  };
  for (;; ++runs) {
    try {
      EXPECT_EQ(run(job, "parts"), whole);
      break;
    } catch (const Killed&) {
    }
  }
  EXPECT_GT(runs, 2);
  EXPECT_EQ(files_of(folder.path() / "parts"), files_of(folder.path() / "whole"));
}

}  // namespace
}  // namespace ropewalk::test
