// Tensors that nobody reads: named once, and as what they are.
#include "core/model/unread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/model/families.h"
#include "tests/checkpoint/tiny_model.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Found {
  std::vector<std::string> names;
  std::string said;
};

Found unread_of(const TinyModel& model) {
  const TemporaryFolder directory;
  write_model(model, directory.path());
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  const CheckpointWeights weights(*checkpoint);
  const ModelGraph graph = build_model(weights, {.activation = abi::DType::f32,
                                                 .kv_type = abi::DType::f16,
                                                 .cache_pages = 1,
                                                 .attention_scale = 1,
                                                 .keys = abi::KeyRotation::before_cache});
  Found found;
  for (const TensorInfo* tensor : unread_tensors(*checkpoint, graph))
    found.names.push_back(tensor->name);
  testing::internal::CaptureStderr();
  warn_of_unread(*checkpoint, graph);
  found.said = testing::internal::GetCapturedStderr();
  return found;
}

constexpr char kQ[] = "model.layers.0.self_attn.q_proj";
const TinyTensor kSome{"F16", {64}, repeated(0, 2, 64)};

TEST(Unread, IsNothingOfASoundModel) {
  for (TinyModel model : {tiny_model(), tiny_dense()}) {
    model.tensors[std::string(kQ) + ".bias"] = kSome;
    model.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = kSome;
    const Found found = unread_of(model);
    EXPECT_THAT(found.names, ElementsAre());
    EXPECT_EQ(found.said, "");
  }
}

TEST(Unread, IsAnAdapterThatIsNotMerged) {
  TinyModel model = tiny_dense();
  model.tensors[std::string(kQ) + ".lora_A.weight"] = kSome;
  model.tensors[std::string(kQ) + ".lora_B.weight"] = kSome;
  const Found found = unread_of(model);
  EXPECT_THAT(found.names,
              ElementsAre(std::string(kQ) + ".lora_A.weight", std::string(kQ) + ".lora_B.weight"));
  EXPECT_THAT(found.said, AllOf(HasSubstr("2 of 14 tensors are not read, such as model.layers.0."),
                                HasSubstr("2 are a LoRA adapter that is not merged")));
}

TEST(Unread, IsALayerTooMany) {
  TinyModel model = tiny_model_of({.layers = 2});
  model.config["num_hidden_layers"] = 1;
  const Found found = unread_of(model);
  EXPECT_EQ(found.names.size(), 7u * 4 + 2);
  EXPECT_THAT(found.said, HasSubstr("config.json says 1 layers, the tensors have more"));
}

TEST(Unread, IsAnOutputLayerBesideTiedEmbeddings) {
  TinyModel model = tiny_model();
  model.config["tie_word_embeddings"] = true;
  EXPECT_THAT(unread_of(model).names, ElementsAre("lm_head.weight"));
  model.tensors.erase("lm_head.weight");
  for (const char* part : {"qweight", "qzeros", "scales", "g_idx"})
    model.tensors[std::string("lm_head.") + part] = model.tensors.at(std::string(kQ) + "." + part);
  EXPECT_THAT(
      unread_of(model).said,
      HasSubstr("lm_head is not used, because config.json ties the output to model.embed_"));
}

TEST(Unread, IsANormOfAnotherFamily) {
  TinyModel model = tiny_dense();
  for (const char* norm : {"self_attn.q_norm", "self_attn.k_norm", "pre_feedforward_layernorm"})
    model.tensors[std::string("model.layers.0.") + norm + ".weight"] = kSome;
  const Found found = unread_of(model);
  EXPECT_EQ(found.names.size(), 3u);
  EXPECT_THAT(found.said, AllOf(HasSubstr("3 of 15 tensors are not read"),
                                HasSubstr("3 are norms, which llama models do not have: if the "
                                          "model was trained with them, its answers are wrong")));
}

TEST(Unread, IsWhatTheFamilyHasNoNameFor) {
  TinyModel model = tiny_dense();
  model.tensors["model.layers.0.self_attn.extra.weight"] = kSome;
  EXPECT_THAT(unread_of(model).said, HasSubstr("1 of 13 tensors are not read, such as "
                                               "model.layers.0.self_attn.extra.weight\n"));
}

}  // namespace
}  // namespace ropewalk::test
