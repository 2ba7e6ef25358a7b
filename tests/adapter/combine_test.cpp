// Several adapters as one: what it does to a weight is what they do together.
#include "core/adapter/combine.h"

#include <gmock/gmock.h>

#include "core/model/families.h"
#include "tests/adapter/tiny_adapter.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

const std::string kOther = "model.layers.0.self_attn.q_proj";

// The golden adapter with rank 1 and another module.
TinyAdapter other_adapter() {
  TinyAdapter adapter = golden_adapter();
  adapter.config["r"] = 1;
  adapter.config["use_rslora"] = true;
  adapter.tensors = {{kModule + ".lora_A.weight", floats({1, 6}, {1, 2, 3, 4, 5, 6})},
                     {kModule + ".lora_B.weight", floats({4, 1}, {1, -1, 2, 0})},
                     {kOther + ".lora_A.weight", floats({1, 64}, std::vector<float>(64, 1))},
                     {kOther + ".lora_B.weight", floats({64, 1}, std::vector<float>(64, 0.5f))}};
  return adapter;
}

class Combine : public ::testing::Test {
 protected:
  Combine() : pair(golden_base(), golden_adapter()) {
    write_adapter(other_adapter(), pair.folder.path() / "other");
    other = std::make_unique<Adapter>(pair.folder.path() / "other");
  }

  std::filesystem::path combine(const std::vector<ScaledAdapter>& adapters) {
    OutputFolder folder(pair.folder.path() / "out", Existing::refuse);
    combine_adapters(adapters, folder);
    folder.commit();
    return folder.path();
  }

  OpenPair pair;
  std::unique_ptr<Adapter> other;
};

TEST_F(Combine, DoesWhatBothDo) {
  const std::vector<ScaledAdapter> both = {{pair.adapter.get(), 1}, {other.get(), -0.5}};
  const Adapter made(combine(both));
  for (const std::string& module : {kModule, kOther}) {
    const std::string name = module + ".weight";
    EXPECT_THAT(pair.merged(name, {{{&made, 1}}, StoredType::f32}),
                Pointwise(FloatNear(1e-5f), pair.merged(name, {both, StoredType::f32})));
  }
}

TEST_F(Combine, AddsRanksAndHasTheScaleOne) {
  const Adapter made(combine({{pair.adapter.get(), 1}, {other.get(), 1}}));
  EXPECT_EQ(made.config().rank, 3u);
  for (const LowRank& low_rank : made.low_ranks()) {
    EXPECT_EQ(low_rank.rank, low_rank.module == kModule ? 3u : 1u);
    EXPECT_EQ(low_rank.scale, 1);
  }
}

TEST_F(Combine, KeepsWholeTensorsOfOne) {
  TinyAdapter adapter = golden_adapter();
  adapter.tensors["model.norm.weight"] = floats({64}, std::vector<float>(64, 3));
  adapter.config["modules_to_save"] = {"norm"};
  write_adapter(adapter, pair.folder.path() / "whole");
  const Adapter whole(pair.folder.path() / "whole");
  const Adapter made(combine({{&whole, 1}, {other.get(), 1}}));
  EXPECT_EQ(pair.merged("model.norm.weight", {{{&made, 1}}, StoredType::f32}),
            std::vector<float>(64, 3));
  EXPECT_EQ(made.config().modules_to_save, std::vector<std::string>{"norm"});
}

TEST_F(Combine, RefusesRanksBeyondTheLimit) {
  TinyAdapter adapter = golden_adapter();
  adapter.config["r"] = 300;
  adapter.tensors = {{kModule + ".lora_A.weight", floats({300, 6}, std::vector<float>(1800, 1))},
                     {kModule + ".lora_B.weight", floats({4, 300}, std::vector<float>(1200, 1))}};
  write_adapter(adapter, pair.folder.path() / "wide");
  const Adapter a(pair.folder.path() / "wide"), b(pair.folder.path() / "wide");
  expect_error(ExitCode::limit, HasSubstr("the ranks add up to 600, expected at most 512"), [&] {
    combine({{&a, 1}, {&b, 1}});
  });
  EXPECT_FALSE(std::filesystem::exists(pair.folder.path() / "out"));
}

TEST_F(Combine, RefusesOtherShapes) {
  TinyAdapter adapter = golden_adapter();
  adapter.tensors[kModule + ".lora_A.weight"] = floats({2, 7}, std::vector<float>(14, 1));
  write_adapter(adapter, pair.folder.path() / "longer");
  const Adapter longer(pair.folder.path() / "longer");
  expect_error(ExitCode::model, HasSubstr("is for a matrix (4, 7)"), [&] {
    combine({{pair.adapter.get(), 1}, {&longer, 1}});
  });
}

TEST_F(Combine, RefusesADora) {
  TinyAdapter adapter = golden_adapter();
  adapter.config["use_dora"] = true;
  adapter.tensors[kModule + ".lora_magnitude_vector"] = floats({4}, {1, 1, 1, 1});
  write_adapter(adapter, pair.folder.path() / "dora");
  const Adapter dora(pair.folder.path() / "dora");
  expect_error(ExitCode::usage, HasSubstr("is a DoRA"), [&] {
    combine({{&dora, 1}, {other.get(), 1}});
  });
}

}  // namespace
}  // namespace ropewalk::test
