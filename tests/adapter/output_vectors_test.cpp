// What adapters do to outputs beside the low-rank change, with a pencil's numbers; against PEFT in
// tests/end_to_end.
#include <gmock/gmock.h>

#include "core/adapter/output_vectors.h"
#include "core/adapter/run_time.h"
#include "tests/adapter/tiny_adapter.h"

namespace ropewalk::test {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::Pointwise;

const std::vector<float> kMagnitudes = {1, .5f, 2, .25f};
// Magnitudes over the lengths of W + s B A, .6917482 .7551904 .4941059 .9542770, less 1.
const std::vector<float> kGain = {.4456127f, -.3379154f, 3.0477151f, -.7380216f};

TinyAdapter golden_dora() {
  TinyAdapter adapter = golden_adapter();
  adapter.config["use_dora"] = true;
  adapter.tensors[kModule + ".lora_magnitude_vector"] = floats({4}, kMagnitudes);
  return adapter;
}

TinyModel with_bias(TinyModel model) {
  model.tensors[kModule + ".bias"] = floats({4}, {8, -4, 2, 1});
  return model;
}

OutputVectors vectors_of(const TinyModel& base, const TinyAdapter& adapter) {
  const OpenPair pair(base, adapter);
  auto all = output_vectors(*pair.adapter, *pair.base);
  EXPECT_EQ(all.size(), 1u);
  return all[kModule];
}

TEST(OutputVectors, NoneOfAPlainAdapter) {
  const OpenPair pair(golden_base(), golden_adapter());
  EXPECT_TRUE(output_vectors(*pair.adapter, *pair.base).empty());
}

TEST(OutputVectors, GainIsWhatADoraStretchesBy) {
  const OutputVectors vectors = vectors_of(golden_base(), golden_dora());
  EXPECT_THAT(vectors.gain, Pointwise(FloatNear(2e-6f), kGain));
  EXPECT_THAT(vectors.shift, ElementsAre(0, 0, 0, 0));
}

TEST(OutputVectors, ADoraLeavesTheBiasAsItIs) {
  const OutputVectors vectors = vectors_of(with_bias(golden_base()), golden_dora());
  EXPECT_THAT(vectors.gain, Pointwise(FloatNear(2e-6f), kGain));
  EXPECT_THAT(vectors.shift, Pointwise(FloatNear(2e-5f), {8 * -.4456127f, 4 * -.3379154f,
                                                          2 * -3.0477151f, .7380216f}));
}

TEST(OutputVectors, ShiftIsWhatABiasGrowsBy) {
  TinyAdapter adapter = golden_adapter();
  adapter.tensors[kModule + ".bias"] = floats({4}, {9, -4, 0, 1});
  OutputVectors vectors = vectors_of(with_bias(golden_base()), adapter);
  EXPECT_THAT(vectors.shift, ElementsAre(1, 0, -2, 0));
  EXPECT_THAT(vectors.gain, ElementsAre(0, 0, 0, 0));
  adapter.tensors[kModule + ".lora_B.bias"] = floats({4}, {2, 0, 0, -2});  // s is 3 / 2
  vectors = vectors_of(with_bias(golden_base()), adapter);
  EXPECT_THAT(vectors.shift, ElementsAre(4, 0, -2, -3));
}

TEST(OutputVectors, ABiasOfLoraNeedsNoneOfTheBase) {
  TinyAdapter adapter = golden_adapter();
  adapter.tensors[kModule + ".lora_B.bias"] = floats({4}, {2, 0, 0, -2});
  EXPECT_THAT(vectors_of(golden_base(), adapter).shift, ElementsAre(3, 0, 0, -3));
}

TEST(OutputVectors, BiasesThatStayedTheBasesAreNone) {
  TinyAdapter adapter = golden_adapter();
  adapter.tensors[kModule + ".bias"] = floats({4}, {8, -4, 2, 1});
  const OpenPair pair(with_bias(golden_base()), adapter);
  EXPECT_TRUE(output_vectors(*pair.adapter, *pair.base).empty());
}

TEST(OutputVectors, ARowOfLengthZeroIsRefused) {
  TinyModel base = golden_base();
  base.tensors[kModule + ".weight"] = floats({4, 6}, std::vector<float>(24, 0));
  TinyAdapter adapter = golden_dora();
  adapter.tensors[kModule + ".lora_A.weight"] = floats({2, 6}, std::vector<float>(12, 0));
  const OpenPair pair(base, adapter);
  try {
    output_vectors(*pair.adapter, *pair.base);
    FAIL() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model);
    EXPECT_THAT(error.what(), testing::HasSubstr("lora_magnitude_vector: stretches row 0, whose "
                                                 "length is 0. Check that the base is"));
  }
}

// What a slot takes: B has scale and factors in it, and a layer may have a bias alone.
TEST(OutputVectors, ReachTheRunningModel) {
  TinyAdapter adapter = golden_dora();
  adapter.tensors["model.layers.0.other.bias"] = floats({2}, {5, 6});
  TinyModel base = golden_base();
  base.tensors["model.layers.0.other.weight"] = floats({2, 2}, {1, 2, 3, 4});
  base.tensors["model.layers.0.other.bias"] = floats({2}, {1, 1});
  const OpenPair pair(base, adapter);
  const auto source = open_for_run(pair.folder.path() / "adapter", 1, *pair.base);
  EXPECT_THAT(source->modules(), ElementsAre(kModule, "model.layers.0.other"));
  EXPECT_THAT(source->modules_with_vectors(), ElementsAre(kModule, "model.layers.0.other"));
  const auto stretched = source->read(kModule);
  ASSERT_TRUE(stretched);
  // B[0] is (-2, -2) / 4... of row 0: times 3 / 2 and 1.4456127.
  EXPECT_NEAR(stretched->b[0], -.5f * 1.5f * 1.4456127f, 2e-6f);
  EXPECT_NEAR(stretched->b[6], -.25f * 1.5f * .2619784f, 2e-6f);
  EXPECT_THAT(stretched->gain, Pointwise(FloatNear(2e-6f), kGain));
  const auto biased = source->read("model.layers.0.other");
  ASSERT_TRUE(biased);
  EXPECT_EQ(biased->rank, 0u);
  EXPECT_THAT(biased->shift, ElementsAre(4, 5));
  EXPECT_THAT(biased->gain, ElementsAre(0, 0));
}

}  // namespace
}  // namespace ropewalk::test
