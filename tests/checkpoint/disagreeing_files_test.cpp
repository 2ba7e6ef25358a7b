// Files of a model that contradict each other: what the tensors say is used, and one line tells of
// it. What cannot be run right is in bad_models.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/model/families.h"
#include "tests/checkpoint/layers.h"
#include "tests/checkpoint/sharded_model.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kProjection[] = "model.layers.0.self_attn.q_proj";

// What is said while a model is opened and read whole. Fails where it is refused.
std::string said_of(const Write& write) {
  const TemporaryFolder directory;
  write(directory.path());
  testing::internal::CaptureStderr();
  try {
    read_everything(*Checkpoint::open(directory.path(), config_families()));
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
  }
  return testing::internal::GetCapturedStderr();
}

size_t lines_of(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

Write sharded_as_they_are() {
  return sharded([](Sharded&) {});
}

TEST(Index, ThatAgreesIsNotSpokenOf) { EXPECT_EQ(said_of(sharded_as_they_are()), ""); }

TEST(Index, TotalSizeChangesNoWeight) {
  const auto total = [](Json size) {
    return said_of(sharded([&](Sharded& it) { it.index["metadata"]["total_size"] = size; }));
  };
  EXPECT_THAT(total(7), HasSubstr("index.json: metadata.total_size is 7, but the tensors have"));
  for (const Json& nothing : {Json(0), Json(nullptr), Json("7"), Json(-7), Json(7.5)})
    EXPECT_EQ(total(nothing), "") << nothing.dump();
  EXPECT_EQ(said_of(sharded([](Sharded& it) { it.index.erase("metadata"); })), "");
  EXPECT_EQ(said_of(sharded([](Sharded& it) { it.index["metadata"] = "none"; })), "");
}

TEST(Index, MayNameAnotherShardOrATensorThatIsNowhere) {
  const std::string log = said_of(sharded([](Sharded& it) {
    it.index["weight_map"]["model.norm.weight"] = "model-00001-of-00002.safetensors";
    it.index["weight_map"]["model.extra"] = "model-00001-of-00002.safetensors";
    it.index["metadata"]["total_size"] = 7;
  }));
  EXPECT_THAT(log, AllOf(HasSubstr("1 of its tensors are in another file, such as model.norm."),
                         HasSubstr("1 of its tensors are in no file, such as model.extra"),
                         HasSubstr("total_size is 7"), HasSubstr("the files decide")));
  EXPECT_EQ(lines_of(log), 1u) << log;
}

TEST(Index, MissesAShardOfItsSet) {
  const std::string log = said_of(sharded([](Sharded& it) {
    for (const auto& [name, tensor] : it.second) it.index["weight_map"].erase(name);
  }));
  EXPECT_THAT(log, HasSubstr("model-00002-of-00002.safetensors: is a shard that the index does "
                             "not name; it is read too"));
}

TEST(Index, LeavesShardsOfAnotherSetAlone) {
  const std::string log = said_of(sharded([](Sharded& it) {
    it.model.files["model-00003-of-00003.safetensors"] = "of another download";
  }));
  EXPECT_THAT(log, HasSubstr("model-00003-of-00003.safetensors: is a shard that the index does "
                             "not name; it is not read"));
}

TEST(Index, OfAMissingFileThatNothingIsReadFromIsTaken) {
  const std::string log = said_of(sharded([](Sharded& it) {
    it.index["weight_map"]["model.norm.weight"] = "model-00009-of-00002.safetensors";
  }));
  EXPECT_THAT(log, HasSubstr("1 of its tensors are in another file"));
}

// A file that is the whole model comes before an index, whatever stands in that.
TEST(Index, StaleOneBesideTheWholeModelIsPassedOver) {
  for (const std::string index :
       {R"({"weight_map": {"lm_head.weight": "model-00001-of-00009.safetensors"}})", "no JSON",
        R"({"weight_map": {"lm_head.weight": "../../etc/passwd"}})"}) {
    const std::string log = said_of(file_with("model.safetensors.index.json", index));
    EXPECT_THAT(log, HasSubstr("model.safetensors.index.json: is not used, because "
                               "model.safetensors is there"));
    EXPECT_EQ(lines_of(log), 1u) << log;
  }
  EXPECT_EQ(said_of(spoil([](TinyModel& model) {
              Json map = Json::object();
              for (const auto& [name, tensor] : model.tensors) map[name] = "model.safetensors";
              model.files["model.safetensors.index.json"] = Json{{"weight_map", map}}.dump();
            })),
            "");
}

TEST(Index, StaleOneBesideTheFileOfTheQuantisationConfig) {
  const std::string log = said_of(spoil([](TinyModel& model) {
    model.files["gptq_model-4bit.safetensors"] = shard_file(model.tensors);
    model.tensors.clear();
    model.quantize["model_file_base_name"] = "gptq_model-4bit";
    model.files["model.safetensors.index.json"] =
        R"({"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}})";
  }));
  EXPECT_THAT(log, HasSubstr("is not used, because gptq_model-4bit.safetensors is there"));
}

TEST(Index, SaysWhichOfTwoCopiesIsRead) {
  const TemporaryFolder directory;
  sharded([](Sharded& it) {
    it.second["lm_head.weight"] = it.first["lm_head.weight"];
    it.second["lm_head.weight"].bytes = repeated(0x4200, 2, 32 * 64);  // 3, which is not read
  })(directory.path());
  testing::internal::CaptureStderr();
  const auto checkpoint = Checkpoint::open(directory.path(), config_families());
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("1 tensors are in two files; those that it does not name are not read, "
                        "such as lm_head.weight of model-00002-of-00002.safetensors"));
  EXPECT_EQ(checkpoint->get("lm_head.weight").file, "model-00001-of-00002.safetensors");
  std::vector<std::byte> bytes(32 * 64 * 2);
  checkpoint->read(checkpoint->get("lm_head.weight"), bytes);
  EXPECT_EQ(std::to_integer<int>(bytes[1]), 0x2c);  // of 0.06, the tiny model's
}

// The same settings in config.json, except for one; null leaves it out there.
Write with_inner(const std::string& key, const Json& value) {
  return spoil([=](TinyModel& model) {
    model.config["quantization_config"] = model.quantize;
    model.config["quantization_config"][key] = value;
    if (value.is_null()) model.config["quantization_config"].erase(key);
  });
}

TEST(TwoQuantisationConfigs, WhatOneLeavesOutTheOtherSays) {
  for (const char* key : {"bits", "group_size", "desc_act", "sym", "checkpoint_format"}) {
    EXPECT_EQ(said_of(with_inner(key, nullptr)), "") << key;
    EXPECT_EQ(said_of(spoil([&](TinyModel& model) {
                model.config["quantization_config"] = model.quantize;
                model.quantize.erase(key);
              })),
              "")
        << key;
  }
}

// config.json alone says it.
TEST(TwoQuantisationConfigs, AreEachBlamedForWhatTheySay) {
  const auto blamed = [](const char* key, const Json& value) {
    return said_of(spoil([&](TinyModel& model) {
      model.config["quantization_config"] = model.quantize;
      model.config["quantization_config"][key] = value;
      model.quantize.erase(key);
    }));
  };
  EXPECT_THAT(blamed("desc_act", false), HasSubstr("/config.json: says desc_act false"));
  EXPECT_THAT(blamed("bits", 8), HasSubstr("/config.json and "));
  EXPECT_THAT(blamed("checkpoint_format", "gptq_v2"),
              HasSubstr("/config.json: checkpoint_format says \"gptq_v2\""));
}

TEST(TwoQuantisationConfigs, WhereTheyDifferTheTensorsDecide) {
  struct {
    const char* key;
    Json value;
    const char* said;
  } const rows[] = {{"bits", 8, "bits 4 and 8"},
                    {"group_size", 64, "group_size 32 and 64"},
                    {"desc_act", false, "desc_act true and false"},
                    {"sym", false, "sym true and false"},
                    {"checkpoint_format", "gptq_v2", "checkpoint_format gptq and gptq_v2"}};
  for (const auto& row : rows) {
    const std::string log = said_of(with_inner(row.key, row.value));
    EXPECT_THAT(log, AllOf(HasSubstr("config.json's quantization_config say different things: "),
                           HasSubstr(row.said), HasSubstr("; the tensors decide")));
  }
}

TEST(QuantisationConfig, OfOtherWidthsAndGroupsIsToldOnce) {
  const std::string log = said_of(spoil([](TinyModel& model) {
    model.quantize["bits"] = 8;
    model.quantize["group_size"] = 128;
  }));
  EXPECT_THAT(log, AllOf(HasSubstr("says 8 bits and groups of 128, but model.layers.0."),
                         HasSubstr("has 4 bits and groups of 32 by its shapes")));
  EXPECT_EQ(lines_of(log), 1u) << log;
  EXPECT_THAT(said_of(quantize_with("group_size", -1)),
              HasSubstr("says 4 bits and one group, but"));
  // Rules for single layers say as much themselves.
  EXPECT_EQ(said_of(spoil([](TinyModel& model) {
              model.quantize["bits"] = 8;
              model.quantize["dynamic"] = {{"+:.*", {{"bits", 4}}}};
            })),
            "");
}

TEST(QuantisationConfig, IsNotClaimedToSayWhatItLeavesOut) {
  const auto without = [](const char* key) {
    return said_of(spoil([&](TinyModel& model) { model.quantize.erase(key); }));
  };
  for (const char* key : {"desc_act", "sym", "checkpoint_format"}) EXPECT_EQ(without(key), "");
}

TEST(GroupIndex, MayHave64Bits) {
  const auto widened = [](TinyModel& model) {
    for (auto& [name, tensor] : model.tensors) {
      if (!name.ends_with(".g_idx")) continue;
      std::string wide;
      for (size_t i = 0; i < tensor.bytes.size(); i += 4)
        wide += tensor.bytes.substr(i, 4) + std::string(4, '\0');
      tensor = {"I64", tensor.shape, wide};
    }
  };
  EXPECT_EQ(said_of(spoil(widened)), "");
  const auto order_of = [](const Write& write) {
    const TemporaryFolder directory;
    write(directory.path());
    const auto checkpoint = Checkpoint::open(directory.path(), config_families());
    return describe(CheckpointWeights(*checkpoint), {kProjection, 64, 64}).row_order;
  };
  EXPECT_EQ(order_of(spoil(widened)), order_of(spoil([](TinyModel&) {})));
}

// Wrapped names: the model behind them is the tiny one.
Write renamed(const std::function<std::string(std::string)>& name_of) {
  return spoil([=](TinyModel& model) {
    std::map<std::string, TinyTensor> tensors;
    for (const auto& [name, tensor] : model.tensors) tensors[name_of(name)] = tensor;
    model.tensors = tensors;
  });
}

TEST(Names, AreReadThroughWhatIsWrappedAroundTheModel) {
  const auto prefixed = [](const std::string& prefix) {
    return renamed([=](const std::string& name) { return prefix + name; });
  };
  EXPECT_THAT(said_of(prefixed("base_model.model.")),
              HasSubstr("names begin with \"base_model.model.\", as PEFT saves models"));
  EXPECT_THAT(said_of(prefixed("module.")), HasSubstr("as DataParallel saves models"));
  EXPECT_THAT(said_of(prefixed("language_model.")), HasSubstr("begin with \"language_model.\""));
  EXPECT_THAT(said_of(renamed([](std::string name) {
                if (name.starts_with(kProjection))
                  name.insert(std::string(kProjection).size(), ".base_layer");
                return name;
              })),
              HasSubstr("PEFT's \".base_layer\""));
  EXPECT_THAT(said_of(renamed([](const std::string& name) {
                return name.starts_with("model.") ? name.substr(6) : name;
              })),
              HasSubstr("names lack \"model.\""));
  EXPECT_EQ(said_of(spoil([](TinyModel&) {})), "");
}

TEST(Names, OfAnotherFormAreShownAndNotBlamedOnTheDownload) {
  const TemporaryFolder directory;
  renamed([](std::string name) {
    return name.starts_with(kProjection) ? "decoder." + name : name;
  })(directory.path());
  try {
    read_everything(*Checkpoint::open(directory.path(), config_families()));
    FAIL() << "was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("the tensor is missing"),
                                    HasSubstr("One is named decoder.model.layers.0.self_attn."),
                                    testing::Not(HasSubstr("download"))));
  }
}

TEST(Header, MayHaveNoMetadataButNull) {
  EXPECT_EQ(said_of(spoil([](TinyModel& model) {
              TinyFile file = safetensors_parts(model.tensors);
              const std::string metadata = R"({"format":"pt"})";
              file.header.replace(file.header.find(metadata), metadata.size(), "null");
              model.files["model.safetensors"] = safetensors_file(file.header, file.data);
            })),
            "");
}

}  // namespace
}  // namespace ropewalk::test
