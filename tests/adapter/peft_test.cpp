// Merged weights against PEFT's, for adapters that PEFT trained and saved (tools/adapters).
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "core/adapter/base_fit.h"
#include "core/adapter/merged_checkpoint.h"
#include "core/checkpoint/weights/finite.h"
#include "core/json/json.h"
#include "core/model/families.h"
#include "tests/adapter/peft.h"

namespace ropewalk::test {
namespace {

class Peft : public ::testing::TestWithParam<const char*> {
 protected:
  Peft() : expected(peft_expects(GetParam())) {
    base = Checkpoint::open(std::filesystem::path(RW_SOURCE_DIR) / expected["base"],
                            config_families());
    for (const Json& entry : expected["adapters"]) {
      adapters.push_back(std::make_unique<Adapter>(peft_folder(entry[0].get<std::string>())));
      settings.adapters.push_back({adapters.back().get(), entry[1].get<double>()});
    }
  }

  const Json expected;
  std::unique_ptr<Checkpoint> base;
  std::vector<std::unique_ptr<Adapter>> adapters;
  MergeSettings settings;
};

std::vector<float> read(const Checkpoint& checkpoint, const std::string& name) {
  const TensorInfo& tensor = checkpoint.get(name);
  std::vector<std::byte> bytes(tensor.bytes);
  checkpoint.read(tensor, bytes);
  return to_floats(tensor.type, bytes);
}

TEST_P(Peft, MergesTheSameWeights) {
  settings.type = StoredType::f32;
  const MergedCheckpoint merged(*base, settings);
  for (const auto& [name, row] : expected["tensors"].items()) {
    const std::vector<float> values = read(merged, name);
    double squares = 0;
    for (const float value : values)
      squares += static_cast<double>(value) * static_cast<double>(value);
    const double norm = row["norm"].get<double>();
    EXPECT_NEAR(std::sqrt(squares), norm, 1e-6 * norm) << name;
    // Sums in another order: a few units of the last place of the largest values.
    const double tolerance =
        1e-6 * std::max(1.0, norm / std::sqrt(static_cast<double>(values.size())));
    for (size_t i = 0; i < row["values"].size(); ++i)
      EXPECT_NEAR(values[i * row["step"].get<size_t>()], row["values"][i].get<double>(), tolerance)
          << name << " " << i;
  }
}

TEST_P(Peft, ChangesNothingElse) {
  settings.type = StoredType::f32;
  const MergedCheckpoint merged(*base, settings);
  std::set<std::string> changed;
  for (const TensorInfo& tensor : merged.tensors())
    if (read(merged, tensor.name) != read(*base, tensor.name)) changed.insert(tensor.name);
  std::set<std::string> wanted;
  for (const auto& [name, row] : expected["tensors"].items()) wanted.insert(name);
  EXPECT_EQ(changed, wanted);
}

TEST_P(Peft, RoundsOnce) {
  const MergedCheckpoint narrow(*base, settings);
  settings.type = StoredType::f32;
  const MergedCheckpoint wide(*base, settings);
  for (const auto& [name, row] : expected["tensors"].items()) {
    const std::vector<float> rounded = read(narrow, name), exact = read(wide, name);
    for (size_t i = 0; i < exact.size(); ++i)
      ASSERT_LE(std::abs(rounded[i] - exact[i]), std::max(std::abs(exact[i]) * 0x1p-11f, 0x1p-25f))
          << name << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Peft, peft_variants(), variant_name);

TEST(PeftFacts, CoverageCountsLinearLayers) {
  const auto base = Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini-f16", config_families());
  const auto packed = Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini", config_families());
  const Adapter adapter(peft_folder("rslora-patterns"));
  for (const Checkpoint* checkpoint : {base.get(), packed.get()}) {
    EXPECT_EQ(coverage_of(adapter, *checkpoint).adapted, 14u);
    EXPECT_EQ(coverage_of(adapter, *checkpoint).linears, 35u);
    EXPECT_NO_THROW(check_fit(adapter, *checkpoint));
  }
}

TEST(PeftFacts, RanksAndScalesFollowThePatterns) {
  const Adapter adapter(peft_folder("rslora-patterns"));
  const auto find = [&](const std::string& module) {
    return *std::ranges::find(adapter.low_ranks(), module, &LowRank::module);
  };
  const LowRank q0 = find("model.layers.0.self_attn.q_proj"),
                q3 = find("model.layers.3.self_attn.q_proj"),
                gate0 = find("model.layers.0.mlp.gate_proj"),
                down3 = find("model.layers.3.mlp.down_proj");
  EXPECT_EQ(q0.rank, 6u);
  EXPECT_EQ(q3.rank, 4u);
  EXPECT_EQ(down3.rank, 2u);
  EXPECT_DOUBLE_EQ(q0.scale, 3 / std::sqrt(6));
  EXPECT_DOUBLE_EQ(q3.scale, 5 / std::sqrt(4));
  EXPECT_DOUBLE_EQ(gate0.scale, 1 / std::sqrt(4));
  EXPECT_DOUBLE_EQ(down3.scale, 5 / std::sqrt(2));
}

TEST(PeftFacts, NormsComeFromTheGramMatrices) {
  const auto base = Checkpoint::open(RW_SOURCE_DIR "/models/airophin-mini-f16", config_families());
  const Adapter adapter(peft_folder("tables"));
  const MergedCheckpoint merged(*base, {{{&adapter, 1}}, StoredType::f32});
  for (const Effect& effect : effects_of(adapter, base.get())) {
    const std::string name = effect.pair->module + ".weight";
    const std::vector<float> after = read(merged, name), before = read(*base, name);
    double change = 0, weight = 0;
    for (size_t i = 0; i < after.size(); ++i) {
      change += std::pow(after[i] - before[i], 2);
      weight += std::pow(before[i], 2);
    }
    EXPECT_NEAR(effect.change, std::sqrt(change), 1e-3 * effect.change) << name;
    EXPECT_NEAR(effect.weight.value_or(0), std::sqrt(weight), 1e-6 * std::sqrt(weight)) << name;
  }
}

}  // namespace
}  // namespace ropewalk::test
