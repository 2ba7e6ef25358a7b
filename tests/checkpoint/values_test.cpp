// The numbers that come out, against numbers that other programs found in the same files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/read_floats.h"
#include "core/model/families.h"
#include "tests/checkpoint/layers.h"
#include "tests/checkpoint/tiny_model.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

constexpr char kDown[] = "model.layers.0.mlp.down_proj";

// W of model.layers.0.mlp.down_proj in the order of the file, (rows, cols).
std::vector<float> stored_weight(const abi::Weight& view) {
  std::vector<float> weight(size_t{view.rows} * view.cols);
  for (uint32_t k = 0; k < view.rows; ++k)
    for (uint32_t n = 0; n < view.cols; ++n) {
      const uint32_t row = view.row_order.empty() ? k : view.row_order[k];
      weight[size_t{row} * view.cols + n] = dequantised(view, k, n);
    }
  return weight;
}

// Found with numpy by tools/fixtures/pack.py's from_tensors() and weight(): W[0][0],
// W[rows - 2][cols - 3], W[rows / 2][5] and the sum of all absolute values.
struct Known {
  const char* model;
  uint32_t rows, cols;
  float first, late, middle;
  double sum;
};

class DequantisedFixture : public testing::TestWithParam<Known> {};

TEST_P(DequantisedFixture, HasTheValuesThatNumpyFinds) {
  const Known& known = GetParam();
  const auto checkpoint =
      Checkpoint::open(RW_FIXTURES "/models/" + std::string(known.model), config_families());
  const CheckpointWeights weights(*checkpoint);
  const WeightInfo info = describe(weights, {kDown, known.rows, known.cols});
  const auto loaded = load_whole(weights, info);
  const std::vector<float> weight = stored_weight(loaded.weight);
  EXPECT_EQ(weight[0], known.first);
  EXPECT_EQ(weight[size_t{known.rows - 2} * known.cols + known.cols - 3], known.late);
  EXPECT_EQ(weight[size_t{known.rows / 2} * known.cols + 5], known.middle);
  double sum = 0;
  for (const float value : weight) sum += std::abs(static_cast<double>(value));
  EXPECT_NEAR(sum, known.sum, known.sum * 1e-8);
}

INSTANTIATE_TEST_SUITE_P(
    Table, DequantisedFixture,
    testing::Values(
        Known{"gptq-b2-g32-act", 64, 64, -0.152709961f, 0, 0, 318.80658},
        Known{"gptq-b3-g32-act", 64, 64, 0.0672607422f, -0.094909668f, -0.045135498f, 366.607849},
        Known{"gptq-b3-g32-v2", 64, 64, 0.127685547f, -0.129394531f, 0.193603516f, 388.371246},
        Known{"gptq-b4-g64-act", 128, 128, 0.0719146729f, 0.0283966064f, 0, 1075.44736},
        Known{"gptq-b4-zero-16", 64, 64, -0.140869141f, 0.0673828125f, -0.106811523f, 378.687576},
        Known{"gptq-b4-v2-called-gptq", 64, 64, 0.162963867f, 0.114349365f, 0.158935547f,
              407.863792},
        Known{"gptq-b4-one-group-act", 64, 64, 0.135864258f, 0.368774414f, 0, 425.583237},
        Known{"gptq-b4-ragged-group", 96, 96, -0.0371704102f, 0.0408325195f, 0.0860595703f,
              783.057129},
        Known{"gptq-b4-no-g-idx", 64, 64, -0.0875244141f, 0.112243652f, 0.0921936035f, 412.810928},
        Known{"gptq-b4-mixed-dtypes", 64, 64, -0.0375976562f, -0.08203125f, 0, 410.849976},
        Known{"gptq-b4-scales-f32", 64, 64, 0.0325012207f, -0.191726685f, -0.0363464355f,
              403.998886},
        Known{"gptq-b8-g32-v2", 64, 64, -0.240657806f, 0.263412476f, 0.0381088257f, 404.478993},
        Known{"gptq-autogptq-b4-g32-act", 64, 64, 0.0856323242f, 0.0712890625f, 0.0390319824f,
              400.285645},
        Known{"gptq-autogptq-b3-asym", 64, 64, 0, 0, 0.0643310547f, 402.664124},
        Known{"gptq-autogptq-b8-static", 64, 64, 0.136911392f, -0.096862793f, 0.182407379f,
              408.850455}),
    [](const auto& row) {
      std::string name = row.param.model;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// One layer of 8 inputs and 8 outputs by hand: 4 bits, one group; code (k, n) is (k + n) % 16, all
// zero points are stored as 7, scale of column n is n + 1.
TinyModel by_hand() {
  TinyModel model = tiny_model();
  model.quantize = Json{{"bits", 4}, {"group_size", -1}, {"desc_act", false}, {"sym", true}};
  model.tensors.clear();
  std::string codes, scales;
  for (uint64_t n = 0; n < 8; ++n) {
    uint64_t word = 0;
    for (uint64_t k = 0; k < 8; ++k) word |= (k + n) % 16 << (4 * k);
    codes += repeated(word, 4, 1);
  }
  for (const uint64_t half : {0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800})
    scales += repeated(half, 2, 1);  // 1 .. 8
  model.tensors["p.qweight"] = {"I32", {1, 8}, codes};
  model.tensors["p.qzeros"] = {"I32", {1, 1}, repeated(0x77777777, 4, 1)};
  model.tensors["p.scales"] = {"F16", {1, 8}, scales};
  return model;
}

TEST(CheckpointWeights, UnpacksByTheFormula) {
  const TemporaryFolder directory;
  write_model(by_hand(), directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  const CheckpointWeights weights(*checkpoint);
  EXPECT_EQ(weights.zero_points(), ZeroPoints::v1);
  const WeightInfo info = describe(weights, {"p", 8, 8});
  EXPECT_EQ(info.shape.bits, 4);
  EXPECT_EQ(info.shape.group_size, 8u);
  EXPECT_TRUE(info.row_order.empty());
  EXPECT_FALSE(info.has_bias);
  const std::vector<uint32_t> order{7, 6, 5, 4, 3, 2, 1, 0};
  const auto loaded = load_columns(weights, info, {0, 8, order});
  // scale * (code - (7 + 1)); the columns are laid out backwards.
  EXPECT_EQ(dequantised(loaded.weight, 0, 7), 1.f * (0 - 8));
  EXPECT_EQ(dequantised(loaded.weight, 3, 7), 1.f * (3 - 8));
  EXPECT_EQ(dequantised(loaded.weight, 3, 5), 3.f * (5 - 8));
  EXPECT_EQ(dequantised(loaded.weight, 7, 0), 8.f * (14 - 8));
}

// 40 rows in three groups: only 16 of the powers of two makes as many, and the config says 32.
TEST(CheckpointWeights, FindsGroupsOfWhichTheLastIsShort) {
  const TemporaryFolder directory;
  TinyModel model = by_hand();
  model.quantize["group_size"] = 32;
  model.tensors["p.qweight"] = {"I32", {5, 8}, repeated(0, 4, 5 * 8)};
  model.tensors["p.qzeros"] = {"I32", {3, 1}, repeated(0x77777777, 4, 3)};
  model.tensors["p.scales"] = {"F16", {3, 8}, repeated(0x3c00, 2, 3 * 8)};
  write_model(model, directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  testing::internal::CaptureStderr();
  EXPECT_EQ(describe(CheckpointWeights(*checkpoint), {"p", 40, 8}).shape.group_size, 16u);
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      testing::HasSubstr("says 4 bits and groups of 32, but p has 4 bits and groups of 16"));
}

// Equal zero points, once what GPTQModel borrowed is returned: "sym": true is right.
TEST(CheckpointWeights, SayNothingOfASymmetricFileThatBorrowed) {
  testing::internal::CaptureStderr();
  const auto checkpoint =
      Checkpoint::open(RW_FIXTURES "/models/gptq-b3-borrowed-symmetric", config_families());
  EXPECT_EQ(CheckpointWeights(*checkpoint).zero_points(), ZeroPoints::v1_borrowed);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(CheckpointWeights, PermutesTheBiasWithTheColumns) {
  TinyModel model = by_hand();
  std::string bias;
  for (const uint64_t half : {0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800})
    bias += repeated(half, 2, 1);
  model.tensors["p.bias"] = {"F16", {8}, bias};
  const TemporaryFolder directory;
  write_model(model, directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  const CheckpointWeights weights(*checkpoint);
  const WeightInfo info = describe(weights, {"p", 8, 8});
  EXPECT_TRUE(info.has_bias);
  EXPECT_EQ(weights.load_bias(info, {}), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(weights.load_bias(info, std::vector<uint32_t>{1, 2, 3, 4, 5, 6, 7, 0}),
            (std::vector<float>{2, 3, 4, 5, 6, 7, 8, 1}));
}

// Any columns of a weight are those columns of all of it, in their order; a part may begin anywhere
// for the loader, whatever devices ask for.
class PartsOfALayer : public testing::TestWithParam<const char*> {};

TEST_P(PartsOfALayer, AreItsColumns) {
  const auto checkpoint =
      Checkpoint::open(RW_FIXTURES "/models/" + std::string(GetParam()), config_families());
  const CheckpointWeights weights(*checkpoint);
  for (const Layer& layer : layers_of(checkpoint->config())) {
    SCOPED_TRACE(layer.prefix);
    const WeightInfo info = describe(weights, layer);
    const auto whole = load_whole(weights, info);
    const uint32_t cols = layer.cols;
    std::vector<uint32_t> backwards(cols);
    std::iota(backwards.rbegin(), backwards.rend(), 0u);
    for (const bool ordered : {false, true})
      for (uint32_t first = 0; first < cols; first += 32) {
        const uint32_t count = std::min(32u, cols - first);
        const auto order = ordered ? std::span<const uint32_t>(backwards) : std::span<uint32_t>();
        const auto part = load_columns(weights, info, {first, count, order});
        ASSERT_EQ(part.weight.first_column, first);
        ASSERT_EQ(part.weight.of_cols, cols);
        const std::vector<float> floats =
            ordered ? std::vector<float>() : read_floats(weights, info, first, count);
        for (uint32_t k = 0; k < layer.rows; ++k)
          for (uint32_t n = 0; n < count; ++n) {
            const uint32_t column = ordered ? backwards[first + n] : first + n;
            ASSERT_EQ(dequantised(part.weight, k, n), dequantised(whole.weight, k, column))
                << k << ", " << n;
            if (ordered) continue;
            const uint32_t row = info.row_order.empty() ? k : info.row_order[k];
            ASSERT_EQ(floats[size_t{n} * layer.rows + row], dequantised(part.weight, k, n))
                << k << ", " << n;
          }
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, PartsOfALayer,
                         testing::Values("gptq-b2-g32-act", "gptq-b3-g32-act", "gptq-b4-g64-act",
                                         "gptq-b3-borrowed", "gptq-b4-borrowed",
                                         "gptq-b4-mixed-dtypes", "gptq-b4-scales-f32",
                                         "gptq-b8-g32-v2", "dense-f32-torch-views", "phi3-gptq-act",
                                         "phi3-window"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Phi-3's files have q, k and v in one tensor, one after another, and gate and up in another.
class FusedLayers : public testing::TestWithParam<const char*> {};

TEST_P(FusedLayers, AreColumnsOfTheStoredOne) {
  const auto checkpoint =
      Checkpoint::open(RW_FIXTURES "/models/" + std::string(GetParam()), config_families());
  const CheckpointWeights weights(*checkpoint);
  const std::vector<Layer> layers = layers_of(checkpoint->config());
  const auto check = [&](const std::string& stored, size_t first, size_t count) {
    uint32_t cols = 0, offset = 0;
    for (size_t i = first; i < first + count; ++i) cols += layers[i].cols;
    const WeightInfo of_whole = describe(weights, {stored, layers[first].rows, cols});
    const auto whole = load_whole(weights, of_whole);
    for (size_t i = first; i < first + count; offset += layers[i++].cols) {
      SCOPED_TRACE(layers[i].prefix);
      const WeightInfo of_part = describe(weights, layers[i]);  // its row order is borrowed
      const auto part = load_whole(weights, of_part);
      for (uint32_t k = 0; k < layers[i].rows; ++k)
        for (uint32_t n = 0; n < layers[i].cols; ++n)
          ASSERT_EQ(dequantised(part.weight, k, n), dequantised(whole.weight, k, offset + n));
    }
  };
  check("model.layers.0.self_attn.qkv_proj", 0, 3);
  check("model.layers.0.mlp.gate_up_proj", 4, 2);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, FusedLayers, testing::Values("phi3-gptq-act", "phi3-window"),
                         [](const auto& row) {
                           std::string name = row.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// GPTQModel writes gate and up of a Phi-3 apart.
TEST(CheckpointWeights, OfAFusedFamilyMayStandApart) {
  TinyModel model = tiny_model();
  const TemporaryFolder llama, phi3;
  write_model(model, llama.path());
  model.config["model_type"] = "phi3";
  model.config["architectures"] = {"Phi3ForCausalLM"};
  write_model(model, phi3.path());
  const auto one = Checkpoint::open(llama.path(), config_families());
  const auto other = Checkpoint::open(phi3.path(), config_families());
  ASSERT_TRUE(other->config().fuses_layers);
  const CheckpointWeights expected(*one), weights(*other);
  for (const Layer& layer : layers_of(one->config())) {
    SCOPED_TRACE(layer.prefix);
    const WeightInfo of_llama = describe(expected, layer), of_phi3 = describe(weights, layer);
    const auto a = load_whole(expected, of_llama), b = load_whole(weights, of_phi3);
    EXPECT_EQ(stored_weight(b.weight), stored_weight(a.weight));
  }
}

// The count and the place are of the whole tensor, whichever part finds it.
TEST(CheckpointWeights, TellsOfNonFiniteScalesInTheWhole) {
  TinyModel model = by_hand();
  std::string scales;
  for (const uint64_t half : {0x3c00, 0x4000, 0x4200, 0x7c00, 0x4500, 0x4600, 0x7e00, 0x4800})
    scales += repeated(half, 2, 1);
  model.tensors["p.scales"] = {"F16", {1, 8}, scales};
  const TemporaryFolder directory;
  write_model(model, directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  const CheckpointWeights weights(*checkpoint);
  const WeightInfo info = describe(weights, {"p", 8, 8});
  const std::string message = error_of([&] { load_columns(weights, info, {4, 4, {}}); });
  EXPECT_NE(message.find("p.scales: holds 2 values that are NaN or infinite, the first at index 3"),
            std::string::npos)
      << message;
}

// Found with torch.load() in pytorch_model.bin: element [0][1], the last one, and the sum.
struct View {
  const char* name;
  uint32_t rows, cols;
  float second, last;
  double sum;
};

TEST(TorchViews, HaveTheValuesThatTorchFinds) {
  const auto checkpoint =
      Checkpoint::open(RW_FIXTURES "/models/dense-f32-torch-views", config_families());
  for (const View& view :
       {View{"q_proj", 64, 64, -0.0171450414f, 0.0142090591f, -4.26531299},  // shares a storage
        View{"k_proj", 64, 64, -0.286404461f, -0.272748053f, -14.1209819},   // with offset 4096
        View{"o_proj", 64, 64, 0.2951442f, -0.194341153f, 2.15637655}}) {    // strides 1, 64
    const auto& info =
        checkpoint->get("model.layers.0.self_attn." + std::string(view.name) + ".weight");
    std::vector<float> values(size_t{view.rows} * view.cols);
    checkpoint->read(info, std::as_writable_bytes(std::span(values)));
    EXPECT_EQ(values[1], view.second) << view.name;
    EXPECT_EQ(values.back(), view.last) << view.name;
    double sum = 0;
    for (const float value : values) sum += static_cast<double>(value);
    EXPECT_NEAR(sum, view.sum, 1e-6) << view.name;
  }
  // Every second row of its storage, and a Parameter.
  const auto& up = checkpoint->get("model.layers.0.mlp.up_proj.weight");
  std::vector<float> values(64 * 64);
  checkpoint->read(up, std::as_writable_bytes(std::span(values)));
  EXPECT_EQ(values[0], -0.0305661615f);
  EXPECT_EQ(values.back(), -0.0682679787f);
  EXPECT_EQ(CheckpointWeights(*checkpoint).load_vector("model.norm.weight", 64)[1], 0.871992707f);
}

TEST(ToFloats, IsExactForEveryHalf) {
  // IEEE 754: one, -2, the largest, the smallest normal, the smallest subnormal, minus zero.
  const std::vector<uint16_t> halves{0x3c00, 0xc000, 0x7bff, 0x0400,
                                     0x0001, 0x8000, 0x7c00, 0x3555};
  const std::vector<float> values = to_floats(StoredType::f16, std::as_bytes(std::span(halves)));
  EXPECT_EQ(values, (std::vector<float>{1, -2, 65504, 0x1p-14f, 0x1p-24f, -0.f, INFINITY,
                                        0.333251953125f}));
  EXPECT_TRUE(std::signbit(values[5]));
  const std::vector<uint16_t> brains{0x3f80, 0xc000, 0x7f7f};
  EXPECT_EQ(to_floats(StoredType::bf16, std::as_bytes(std::span(brains))),
            (std::vector<float>{1, -2, 3.3895313892515355e38f}));
}

}  // namespace
}  // namespace ropewalk::test
