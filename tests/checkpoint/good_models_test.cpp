// Real shapes and oddities that must load: a strict reader is worth nothing if it refuses good
// models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "core/model/families.h"
#include "tests/checkpoint/layers.h"
#include "tests/checkpoint/tiny_model.h"
#include "tests/checkpoint/tiny_torch.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;

// Describes every layer of a model in `directory`; reads all of it too where it is small.
void expect_good(const fs::path& directory) {
  try {
    read_everything(*Checkpoint::open(directory, config_families()));
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
  }
}

void expect_good_model(const TinyModel& model) {
  const TemporaryFolder directory;
  write_model(model, directory.path());
  expect_good(directory.path());
}

// The log of a call, from stderr.
template <class Call>
std::string said(const Call& call) {
  testing::internal::CaptureStderr();
  call();
  return testing::internal::GetCapturedStderr();
}

TEST(GoodModel, EveryWidthAndGroupSize) {
  for (const uint32_t bits : {2, 3, 4, 8})
    for (const uint32_t group : {32, 64, 128})
      expect_good_model(tiny_model_of({.hidden = 128, .heads = 4, .bits = bits, .group = group}));
}

TEST(GoodModel, GroupedQueries) {
  expect_good_model(tiny_model_of({.hidden = 128, .heads = 4, .kv_heads = 1}));
}

TEST(GoodModel, GptqV2AndBothSpellingsOfItsZeros) {
  TinyModel model = tiny_model();
  for (auto& [name, tensor] : model.tensors)
    if (name.ends_with(".qzeros")) tensor.bytes = repeated(0x88888888, 4, tensor.bytes.size() / 4);
  for (const char* format : {"gptq_v2", "gptq"}) {
    model.quantize["checkpoint_format"] = format;
    const TemporaryFolder directory;
    write_model(model, directory.path());
    const std::string log = said([&] {
      EXPECT_EQ(detect_zero_points(*Checkpoint::open(directory.path(), config_families())),
                ZeroPoints::v2);
    });
    if (std::string(format) == "gptq") {
      EXPECT_THAT(log, testing::HasSubstr("all zero points are stored as 8"));
    } else {
      EXPECT_EQ(log, "");
    }
  }
}

TEST(GoodModel, OneGroupWithAnIndexOfZeros) {
  TinyModel model = tiny_model_of({.group = 64});
  model.quantize["group_size"] = -1;
  for (auto& [name, tensor] : model.tensors)
    if (name.ends_with(".g_idx")) tensor.bytes.assign(tensor.bytes.size(), '\0');
  expect_good_model(model);
}

TEST(GoodModel, NoGroupIndexAlthoughOrderIsClaimed) {
  TinyModel model = tiny_model();
  std::erase_if(model.tensors, [](const auto& item) { return item.first.ends_with(".g_idx"); });
  const std::string log = said([&] { expect_good_model(model); });
  EXPECT_THAT(log, testing::HasSubstr("says desc_act true, but no tensor is named g_idx"));
}

TEST(GoodModel, IndexOfZerosInFilesThatWereNeverOrdered) {
  TinyModel model = tiny_model();
  model.quantize["desc_act"] = false;
  for (auto& [name, tensor] : model.tensors)
    if (name.ends_with(".g_idx")) tensor.bytes.assign(tensor.bytes.size(), '\0');
  EXPECT_EQ(said([&] { expect_good_model(model); }), "");
}

TEST(GoodModel, ZerosThatDifferAlthoughSymmetryIsClaimed) {
  TinyModel model = tiny_model();
  model.tensors.at("model.layers.0.mlp.up_proj.qzeros").bytes[0] = '\x1f';
  const std::string log = said([&] { expect_good_model(model); });
  EXPECT_THAT(log, testing::HasSubstr("says sym true, but the zero points differ"));
  EXPECT_THAT(log, testing::HasSubstr("1 zero points are stored as 15"));
}

TEST(GoodModel, BiasOfNoSizeAndBiasOfZeros) {
  TinyModel model = tiny_model();
  model.tensors["model.layers.0.self_attn.q_proj.bias"] = {"F16", {0}, ""};
  model.tensors["model.layers.0.self_attn.k_proj.bias"] = {"F16", {64}, repeated(0, 2, 64)};
  const TemporaryFolder directory;
  write_model(model, directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  const CheckpointWeights weights(*checkpoint);
  for (const char* name : {"model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj"})
    EXPECT_FALSE(describe(weights, {name, 64, 64}).has_bias) << name;
}

TEST(GoodModel, LeftoversOfOldConversions) {
  TinyModel model = tiny_model();
  model.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {"F32", {16}, repeated(0, 4, 16)};
  expect_good_model(model);
}

TEST(GoodModel, ScalesThatAreNegativeZeroOrDenormal) {
  TinyModel model = tiny_model();
  std::string& scales = model.tensors.at("model.layers.0.self_attn.q_proj.scales").bytes;
  scales.replace(0, 6, repeated(0xac00, 2, 1) + repeated(0, 2, 1) + repeated(1, 2, 1));
  expect_good_model(model);
}

TEST(GoodModel, HeaderPaddedWithSpaces) {
  TinyModel model = tiny_model();
  const TinyFile file = safetensors_parts(model.tensors);
  model.files["model.safetensors"] = safetensors_file(file.header + "       ", file.data);
  expect_good_model(model);
}

TEST(GoodModel, NumbersWrittenAsFloats) {
  TinyModel model = tiny_model();
  model.config["hidden_size"] = 64.0;
  model.config["max_position_embeddings"] = 4.096e3;
  expect_good_model(model);
}

TEST(GoodModel, VocabularyOf32001) { expect_good_model(tiny_model_of({.vocab = 32001})); }

TEST(GoodModel, ShardsWithoutAnIndex) {
  TinyModel model = tiny_model();
  std::map<std::string, TinyTensor> halves[2];
  size_t i = 0;
  for (const auto& item : model.tensors) halves[i++ % 2].insert(item);
  model.tensors.clear();
  for (int shard : {0, 1}) {
    const TinyFile file = safetensors_parts(halves[shard]);
    model.files["gptq_model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors"] =
        safetensors_file(file.header, file.data);
  }
  expect_good_model(model);
}

TEST(GoodModel, FileNamesOfEveryQuantiser) {
  for (const char* name :
       {"gptq_model-4bit-32g", "airophin-GPTQ-4bit-32g.act.order", "weights_v2"}) {
    const TemporaryFolder directory;
    TinyModel model = tiny_model();
    write_model(model, directory.path());
    fs::rename(directory.path() / "model.safetensors",
               directory.path() / (std::string(name) + ".safetensors"));
    expect_good(directory.path());
    // Beside another file only the quantisation config tells which.
    write_file(directory.path() / "other.safetensors", "x");
    model.quantize["model_file_base_name"] = name;
    write_file(directory.path() / "quantize_config.json", model.quantize.dump());
    expect_good(directory.path());
  }
}

TEST(GoodModel, TorchFile) {
  expect_good_model(with_torch_file(tiny_dense()));
  expect_good_model(with_torch_file(tiny_model()));
}

// ROOT/snapshots/REV/file -> ../../blobs/HASH, as the hub's cache lays a model out.
TEST(GoodModel, CacheOfTheHub) {
  const TemporaryFolder root;
  const fs::path snapshot = root.path() / "snapshots" / "0123abc";
  fs::create_directories(snapshot);
  fs::create_directories(root.path() / "blobs");
  write_model(tiny_model(), snapshot);
  for (const char* name : {"config.json", "quantize_config.json", "model.safetensors"}) {
    fs::rename(snapshot / name, root.path() / "blobs" / (std::string("hash-of-") + name));
    fs::create_symlink(std::string("../../blobs/hash-of-") + name, snapshot / name);
  }
  expect_good(snapshot);
}

TEST(GoodModel, HardLinkAndLinkedDirectory) {
  const TemporaryFolder directory;
  write_model(tiny_model(), directory.path());
  fs::create_hard_link(directory.path() / "model.safetensors", directory.path() / "copy.tmp");
  fs::create_directory_symlink(directory.path(), directory.path() / "self");
  expect_good(directory.path() / "self");
}

// Headers of models of 13B and 70B over a sparse file: everything that is known without weights.
void expect_described(const TinySize& size) {
  const TemporaryFolder directory;
  TinySize small = size;
  small.layers = 0;
  TinyModel model = tiny_model_of(small);
  model.config["num_hidden_layers"] = size.layers;
  Json header = Json::object();
  uint64_t end = 0;
  // First byte and bytes of the qzeros that are read: those of the first 16 layers by name.
  std::vector<std::pair<uint64_t, uint64_t>> zeros;
  const auto add = [&](const std::string& name, const char* dtype, std::vector<uint64_t> shape) {
    uint64_t bytes = std::string(dtype) == "F16" ? 2 : 4;
    for (const uint64_t extent : shape) bytes *= extent;
    header[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  };
  ModelConfig config;
  config.hidden_size = size.hidden;
  config.intermediate_size = size.inner;
  config.layers = size.layers;
  config.heads = size.heads;
  config.kv_heads = size.kv_heads;
  config.head_dim = size.head_dim;
  config.tied_embeddings = true;  // leaves lm_head, which is not quantised, out of the list
  for (const Layer& layer : layers_of(config)) {
    const uint64_t groups = layer.rows / size.group;
    for (const char* first : {"model.layers.0.", "model.layers.1.", "model.layers.10."})
      if (layer.prefix.starts_with(first))
        zeros.emplace_back(end + uint64_t{layer.rows} / 8 * layer.cols * 4,
                           groups * layer.cols / 2);
    add(layer.prefix + ".qweight", "I32", {layer.rows / 8, layer.cols});
    add(layer.prefix + ".qzeros", "I32", {groups, layer.cols / 8});
    add(layer.prefix + ".scales", "F16", {groups, layer.cols});
  }
  model.tensors.clear();
  model.quantize["desc_act"] = false;
  write_model(model, directory.path());
  const std::string text = header.dump();
  write_file(directory.path() / "model.safetensors", safetensors_file(text, ""));
  fs::resize_file(directory.path() / "model.safetensors", 8 + text.size() + end);
  std::fstream file(directory.path() / "model.safetensors",
                    std::ios::in | std::ios::out | std::ios::binary);
  for (const auto& [first, bytes] : zeros) {
    file.seekp(static_cast<std::streamoff>(8 + text.size() + first));
    file << std::string(bytes, '\x77');  // symmetric
  }
  ASSERT_TRUE(file.flush());

  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  const CheckpointWeights weights(*checkpoint);
  for (const Layer& layer : layers_of(config))
    EXPECT_EQ(describe(weights, layer).shape.group_size, size.group);
}

TEST(GoodModel, HeaderOf13B) {
  expect_described({.hidden = 5120,
                    .heads = 40,
                    .kv_heads = 40,
                    .head_dim = 128,
                    .inner = 13824,
                    .layers = 40,
                    .vocab = 32,
                    .bits = 4,
                    .group = 32});
}

TEST(GoodModel, HeaderOf70B) {
  expect_described({.hidden = 8192,
                    .heads = 64,
                    .kv_heads = 8,
                    .head_dim = 128,
                    .inner = 28672,
                    .layers = 80,
                    .vocab = 32,
                    .bits = 4,
                    .group = 128});
}

TEST(RowOrder, IsAStablePermutationByGroup) {
  const TemporaryFolder directory;
  write_model(tiny_model(), directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  const CheckpointWeights weights(*checkpoint);
  const WeightInfo info = describe(weights, {"model.layers.0.mlp.up_proj", 64, 64});
  ASSERT_EQ(info.row_order.size(), 64u);
  EXPECT_EQ(std::set<uint32_t>(info.row_order.begin(), info.row_order.end()).size(), 64u);
  for (uint32_t k = 0; k < 64; ++k) {
    const uint32_t row = info.row_order[k];
    EXPECT_EQ((row * 37 + 11) % 64 / 32, k / 32) << "position " << k;
    if (k % 32 == 0) continue;
    EXPECT_LT(info.row_order[k - 1], row) << "position " << k;
  }
}

}  // namespace
}  // namespace ropewalk::test
