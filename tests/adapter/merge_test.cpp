// What a merge does to a model beside adding: types, tables, ties, several adapters, what is
// refused.
#include <gmock/gmock.h>

#include <cmath>

#include "core/adapter/base_fit.h"
#include "core/adapter/write_model.h"
#include "core/checkpoint/weights/finite.h"
#include "core/model/families.h"
#include "tests/adapter/tiny_adapter.h"
#include "tests/error_of.h"
#include "tests/memory.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kVocab = 32, kHidden = 64;  // of tiny_dense()

MergeSettings alone(const OpenPair& pair) { return {{{pair.adapter.get(), 1}}, StoredType::f32}; }

// Of the golden adapter a copy that brings a tensor whole.
TinyAdapter bringing(const std::string& name, const TinyTensor& tensor) {
  TinyAdapter adapter = golden_adapter();
  adapter.tensors[name] = tensor;
  return adapter;
}

TEST(Merge, RefusesAQuantisedBase) {
  TinyModel model = tiny_model();
  model.tensors[kModule + ".weight"] = floats({4, 6}, golden_weight());
  const OpenPair pair(model, golden_adapter());
  expect_error(ExitCode::model,
               AllOf(HasSubstr("is quantised"), HasSubstr("then quantise the result")),
               [&] { MergedCheckpoint(*pair.base, alone(pair)); });
}

TEST(Merge, KeepsTheBasesTypesUnlessAsked) {
  const OpenPair pair(golden_base(), golden_adapter());
  const MergedCheckpoint same(*pair.base, {{{pair.adapter.get(), 1}}});
  for (const TensorInfo& tensor : same.tensors())
    EXPECT_EQ(tensor.type, pair.base->get(tensor.name).type) << tensor.name;
  const MergedCheckpoint wide(*pair.base, {{{pair.adapter.get(), 1}}, StoredType::bf16});
  for (const TensorInfo& tensor : wide.tensors()) EXPECT_EQ(tensor.type, StoredType::bf16);
}

TEST(Merge, SaysWhereTheTypeIsTooNarrow) {
  TinyAdapter adapter = golden_adapter();
  adapter.config["lora_alpha"] = 3e6;
  const OpenPair pair(golden_base(), adapter);
  expect_error(ExitCode::non_finite, AllOf(HasSubstr(kModule), HasSubstr("too large for F16")),
               [&] {
                 pair.merged(kModule + ".weight", {{{pair.adapter.get(), 1}}, StoredType::f16});
               });
  EXPECT_NO_THROW(pair.merged(kModule + ".weight"));
}

TEST(Merge, RefusesABaseWithNaN) {
  TinyModel model = golden_base();
  std::vector<float> weight = golden_weight();
  weight[3] = NAN;
  model.tensors[kModule + ".weight"] = floats({4, 6}, weight);
  const OpenPair pair(model, golden_adapter());
  expect_error(ExitCode::model, HasSubstr("golden.weight: found values that are NaN"),
               [&] { pair.merged(kModule + ".weight"); });
}

TEST(Merge, ReadsAnyPartOfATensor) {
  const OpenPair pair(golden_base(), golden_adapter());
  const MergedCheckpoint merged(*pair.base, alone(pair));
  const TensorInfo& tensor = merged.get(kModule + ".weight");
  const std::vector<float> whole = pair.merged(kModule + ".weight");
  for (size_t first = 0; first < whole.size(); ++first)
    for (size_t count = 1; first + count <= whole.size(); ++count) {
      std::vector<float> part(count);
      merged.read_from(tensor, first * sizeof(float), std::as_writable_bytes(std::span(part)));
      ASSERT_TRUE(
          std::equal(part.begin(), part.end(), whole.begin() + static_cast<ptrdiff_t>(first)))
          << first << " " << count;
    }
}

TEST(Merge, GrowsBothTables) {
  TinyAdapter adapter = golden_adapter();
  const std::vector<float> rows((kVocab + 2) * kHidden, 0.25f);
  adapter.tensors["model.embed_tokens.weight"] = floats({kVocab + 2, kHidden}, rows);
  adapter.tensors["lm_head.base_layer.weight"] = floats({kVocab + 2, kHidden}, rows);
  const OpenPair pair(golden_base(), adapter);
  const MergedCheckpoint merged(*pair.base, alone(pair));
  EXPECT_EQ(merged.config().vocab_size, kVocab + 2);
  EXPECT_EQ(merged.new_vocabulary(), pair.adapter.get());
  EXPECT_EQ(pair.merged("lm_head.weight"), rows);
}

TEST(Merge, RefusesTablesOfTwoSizes) {
  const OpenPair pair(golden_base(), bringing("lm_head.weight",
                                              floats({kVocab + 2, kHidden},
                                                     std::vector<float>((kVocab + 2) * kHidden))));
  expect_error(ExitCode::model,
               HasSubstr("would leave 32 tokens in model.embed_tokens and 34 in lm_head"),
               [&] { MergedCheckpoint(*pair.base, alone(pair)); });
}

// The head of a base that ties its tables is changed alone: then they are two.
TEST(Merge, UntiesTables) {
  TinyModel model = golden_base();
  model.config["tie_word_embeddings"] = true;
  model.tensors.erase("lm_head.weight");
  const std::vector<float> head(kVocab * kHidden, 0.5f);
  const OpenPair pair(model, bringing("lm_head.weight", floats({kVocab, kHidden}, head)));
  const MergedCheckpoint merged(*pair.base, alone(pair));
  EXPECT_FALSE(merged.config().tied_embeddings);
  EXPECT_EQ(pair.merged("lm_head.weight"), head);
  EXPECT_NE(pair.merged("model.embed_tokens.weight"), head);
  const OpenPair untouched(model, golden_adapter());
  EXPECT_TRUE(MergedCheckpoint(*untouched.base, alone(untouched)).config().tied_embeddings);
  EXPECT_EQ(MergedCheckpoint(*untouched.base, alone(untouched)).find("lm_head.weight"), nullptr);
}

TEST(Merge, RefusesATiedTableThatShallStayTied) {
  TinyModel model = golden_base();
  model.config["tie_word_embeddings"] = true;
  model.tensors.erase("lm_head.weight");
  TinyAdapter adapter = bringing(
      "lm_head.weight", floats({kVocab, kHidden}, std::vector<float>(kVocab * kHidden, 0.5f)));
  adapter.config["ensure_weight_tying"] = true;
  const OpenPair pair(model, adapter);
  expect_error(ExitCode::model, HasSubstr("adapter_config.json: ensure_weight_tying: found true"),
               [&] { MergedCheckpoint(*pair.base, alone(pair)); });
}

TEST(Merge, AddsSeveralInOneSum) {
  const OpenPair pair(golden_base(), golden_adapter());
  const Adapter second(pair.folder.path() / "adapter");
  const MergeSettings both{{{pair.adapter.get(), 2}, {&second, -1}}, StoredType::f32};
  EXPECT_EQ(pair.merged(kModule + ".weight", both), pair.merged(kModule + ".weight"));
}

TEST(Merge, RefusesADoraBesideOthersOrScaled) {
  TinyAdapter adapter = golden_adapter();
  adapter.config["use_dora"] = true;
  adapter.tensors[kModule + ".lora_magnitude_vector"] = floats({4}, {1, 1, 1, 1});
  const OpenPair pair(golden_base(), adapter);
  const Adapter second(pair.folder.path() / "adapter");
  expect_error(ExitCode::usage, HasSubstr("is a DoRA, which cannot be added to other adapters"),
               [&] {
                 MergedCheckpoint(*pair.base, {{{pair.adapter.get(), 1}, {&second, 1}}});
               });
  expect_error(ExitCode::usage, HasSubstr("found the scale 0.5, expected 1"), [&] {
    MergedCheckpoint(*pair.base, {{{pair.adapter.get(), 0.5}}});
  });
}

TEST(Merge, RefusesWholeTensorsTwiceOrScaled) {
  const OpenPair pair(golden_base(), bringing("model.norm.weight",
                                              floats({kHidden}, std::vector<float>(kHidden, 2))));
  const Adapter second(pair.folder.path() / "adapter");
  expect_error(ExitCode::usage, HasSubstr("brings model.norm.weight whole, and so does"), [&] {
    MergedCheckpoint(*pair.base, {{{pair.adapter.get(), 1}, {&second, 1}}});
  });
  expect_error(ExitCode::usage, HasSubstr("brings whole tensors, found the scale 2, expected 1"),
               [&] {
                 MergedCheckpoint(*pair.base, {{{pair.adapter.get(), 2}}});
               });
}

TEST(Merge, DoubtsAnotherBaseAndUnlikelySizes) {
  TinyAdapter adapter = golden_adapter();
  adapter.config["base_model_name_or_path"] = "meta-llama/Llama-2-13b-hf";
  adapter.config["lora_alpha"] = 3000;
  adapter.config["new_field"] = 1;
  const OpenPair pair(golden_base(), adapter);
  const auto doubts =
      doubts_of(*pair.adapter, pair.base.get(), effects_of(*pair.adapter, pair.base.get()));
  EXPECT_THAT(doubts, ::testing::ElementsAre(
                          HasSubstr("new_field is not known and was ignored"),
                          HasSubstr("made for \"meta-llama/Llama-2-13b-hf\", the base is \"base\""),
                          HasSubstr("golden changes by")));
  const OpenPair sound(golden_base(), golden_adapter());
  EXPECT_THAT(
      doubts_of(*sound.adapter, sound.base.get(), effects_of(*sound.adapter, sound.base.get())),
      ::testing::IsEmpty());
}

// Tensor by tensor, a block at a time: a matrix of 128 MiB is never held, in any thread.
TEST(Merge, HoldsLittle) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer keeps what was freed";
#endif
#endif
  constexpr uint64_t kRows = 16384, kCols = 4096;
  TinyModel model = tiny_dense();
  model.tensors[kModule + ".weight"] = {
      "F16", {kRows, kCols}, std::string(kRows * kCols * 2, '\0')};
  TinyAdapter adapter = golden_adapter();
  adapter.tensors[kModule + ".lora_A.weight"] =
      floats({2, kCols}, std::vector<float>(2 * kCols, 0.5f));
  adapter.tensors[kModule + ".lora_B.weight"] =
      floats({kRows, 2}, std::vector<float>(2 * kRows, 0.5f));
  const auto pair = std::make_unique<OpenPair>(model, adapter);
  model = {};
  adapter = {};
  const MergedCheckpoint merged(*pair->base, {{{pair->adapter.get(), 1}}});
  OutputFolder folder(pair->folder.path() / "out", Existing::refuse);
  forget_peak();
  const uint64_t before = memory_now();
  write_tensors(merged, folder, {UINT64_MAX, 2, [](uint64_t, uint64_t) {}});
  EXPECT_LT(memory_peak() - before, 110u << 20);
}

TEST(Merge, WritesTheSameBytesWithAnyThreads) {
  const OpenPair pair(golden_base(), golden_adapter());
  const MergedCheckpoint merged(*pair.base, alone(pair));
  std::string first;
  for (const uint32_t threads : {1u, 2u, 4u}) {
    const auto path = pair.folder.path() / ("out" + std::to_string(threads));
    OutputFolder folder(path, Existing::refuse);
    write_tensors(merged, folder, {UINT64_MAX, threads, [](uint64_t, uint64_t) {}});
    folder.commit();
    const std::string bytes = read_file(path / "model.safetensors");
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first);
  }
  EXPECT_GT(first.size(), 1000u);
}

TEST(Merge, StopsWhereProgressThrows) {
  const OpenPair pair(golden_base(), golden_adapter());
  const MergedCheckpoint merged(*pair.base, alone(pair));
  const auto path = pair.folder.path() / "out";
  {
    OutputFolder folder(path, Existing::refuse);
    EXPECT_THROW(
        write_tensors(merged, folder,
                      {UINT64_MAX, 4, [](uint64_t, uint64_t) { throw std::runtime_error(""); }}),
        std::runtime_error);
  }
  EXPECT_FALSE(std::filesystem::exists(path)) << "what was begun is gone";
}

}  // namespace
}  // namespace ropewalk::test
