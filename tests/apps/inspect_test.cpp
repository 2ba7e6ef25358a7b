// inspect: against what the fixtures' quantisers and exporters say.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string model_fixture(const std::string& name) { return RW_FIXTURES "/models/" + name; }

struct Quantised {
  const char* model;
  int bits, group_size;
  bool act_order;
  const char* zero_points;
};

class InspectQuantised : public ::testing::TestWithParam<Quantised> {};

TEST_P(InspectQuantised, TellsWhatTheTensorsHold) {
  const Outcome outcome = run_program({"inspect", model_fixture(GetParam().model), "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json quant = outcome.json()["quantization"];
  EXPECT_EQ(quant["bits"], GetParam().bits);
  EXPECT_EQ(quant["group_size"], GetParam().group_size);
  EXPECT_EQ(quant["act_order"], GetParam().act_order);
  EXPECT_EQ(quant["zero_points"], GetParam().zero_points);
  EXPECT_EQ(quant["mixed"], false);
}

INSTANTIATE_TEST_SUITE_P(All, InspectQuantised,
                         ::testing::Values(Quantised{"gptq-b4-g32", 4, 32, false, "v1"},
                                           Quantised{"gptq-b4-g32-act", 4, 32, true, "v1"},
                                           Quantised{"gptq-b4-g32-v2", 4, 32, false, "v2"},
                                           Quantised{"gptq-b2-g32-act", 2, 32, true, "v1"},
                                           Quantised{"gptq-b3-one-group", 3, -1, false, "v1"},
                                           Quantised{"gptq-b3-g32-v2", 3, 32, false, "v2"},
                                           Quantised{"gptq-b8-g32-v2", 8, 32, false, "v2"},
                                           Quantised{"gptq-b4-torch", 4, 32, true, "v1"},
                                           Quantised{"gptq-autogptq-b4-g32-act", 4, 32, true,
                                                     "v1"}));

TEST(Inspect, TellsSymmetricFromTheZeroPoints) {
  const auto symmetric = [](const char* model) {
    return run_program({"inspect", model_fixture(model), "--json"}, "")
        .json()["quantization"]["symmetric"];
  };
  for (const char* model : {"gptq-autogptq-b4-g32-act", "gptq-autogptq-b8-static"})
    EXPECT_EQ(symmetric(model), true) << model;
  EXPECT_EQ(symmetric("gptq-autogptq-b3-asym"), false);
}

TEST(Inspect, TellsShapeRopeAndMemory) {
  const Outcome outcome = run_program({"inspect", model_fixture("dense-gqa"), "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  const Json config = Json::parse(read_file(model_fixture("dense-gqa") + "/config.json"));
  EXPECT_EQ(json["architecture"], "llama");
  EXPECT_EQ(json["layers"], config["num_hidden_layers"]);
  EXPECT_EQ(json["kv_heads"], config["num_key_value_heads"]);
  EXPECT_EQ(json["vocab_size"], config["vocab_size"]);
  EXPECT_TRUE(json["quantization"].is_null());
  EXPECT_EQ(json["rope"]["policy"], "none");
  // Keys and values of every layer and head, two bytes each.
  const uint64_t per_token = 2 * 2 * config["num_hidden_layers"].get<uint64_t>() *
                             config["num_key_value_heads"].get<uint64_t>() *
                             json["head_dim"].get<uint64_t>();
  EXPECT_EQ(json["memory"]["cache_per_token"], per_token);
  EXPECT_EQ(json["memory"]["cache_at_context"],
            per_token * config["max_position_embeddings"].get<uint64_t>());
}

TEST(Inspect, TellsWhatAFamilyHasThatLlamaHasNot) {
  const auto inspect = [](const char* model) {
    return run_program({"inspect", model_fixture(model), "--json"}, "").json();
  };
  const Json llama = inspect("dense-gqa");
  EXPECT_EQ(llama["family"], "Llama");
  EXPECT_EQ(llama["sliding_layers"], Json::array());
  EXPECT_EQ(llama["caps"], (Json{{"scores", nullptr}, {"logits", nullptr}}));
  EXPECT_TRUE(llama["rope"]["local_theta"].is_null());

  const Json gemma2 = inspect("gemma2-caps");
  EXPECT_EQ(gemma2["family"], "Gemma2");
  EXPECT_EQ(gemma2["window"], 24);
  EXPECT_EQ(gemma2["sliding_layers"], Json::array({0}));
  EXPECT_EQ(gemma2["caps"], (Json{{"scores", 2.0}, {"logits", 1.0}}));
  EXPECT_EQ(gemma2["scales"]["embedding"], 8.0);
  EXPECT_EQ(gemma2["scales"]["attention"], 1 / std::sqrt(24.0));

  const Json gemma3 = inspect("gemma3-pattern");
  EXPECT_EQ(gemma3["sliding_layers"], Json::array({0, 1}));
  EXPECT_EQ(gemma3["rope"]["local_theta"], 1e4);
  EXPECT_EQ(inspect("phi3-longrope-partial")["rope"]["rotary_dims"], 24);

  EXPECT_EQ(llama["rope"]["layers_without"], Json::array());
  EXPECT_EQ(inspect("smollm3-interval")["rope"]["layers_without"], Json::array({1}));
}

TEST(Inspect, PlansTheMemoryThatARunAllocates) {
  const TemporaryFolder folder;
  const std::string ids = folder.write("ids", "1 5 7");
  for (const char* model : {"dense-gqa", "dense-tied", "gptq-b4-g32-act"}) {
    const Arguments cpu = {"--backend", "cpu", "--json"};
    Arguments inspect = {"inspect", model_fixture(model)};
    Arguments run = {"run", model_fixture(model), "--prompt-ids", ids, "--max-new-tokens", "1"};
    inspect.insert(inspect.end(), cpu.begin(), cpu.end());
    run.insert(run.end(), cpu.begin(), cpu.end());
    const Outcome planned = run_program(inspect, ""), made = run_program(run, "");
    ASSERT_EQ(planned.code, 0) << planned.err;
    ASSERT_EQ(made.code, 0) << made.err;
    const Json plan = planned.json()["memory"], memory = made.json()["stats"]["memory"];
    for (const char* part : {"weights", "scratch", "workspace"})
      EXPECT_EQ(plan[part], memory[part]) << model << " " << part;
    EXPECT_EQ(plan["cache_at_context"], memory["cache"]) << model;
    EXPECT_EQ(plan["fits"], true);
  }
}

// What auto took is in the answer; the note about it is a run's.
TEST(Inspect, SaysNothingOfTheBackendsThatItPassedOver) {
  const Outcome outcome = run_program({"inspect", model_fixture("dense-gqa"), "--json"}, "");
  EXPECT_NE(outcome.json()["memory"]["device"], "");
  EXPECT_EQ(outcome.err.find("backend"), std::string::npos) << outcome.err;
}

TEST(Inspect, PlansAlsoWhatDoesNotFit) {
  const TemporaryFolder folder;
  const std::string config = write_small_config(folder.path(), {.layers = 64});
  const Arguments inspect = {"inspect", config, "--set",
                             "context={length: 16777216, kv_cache: f32}"};  // 512 GiB
  EXPECT_THAT(run_program(inspect, "").out, HasSubstr("does not fit"));
  Arguments json = inspect;
  json.push_back("--json");
  const Json memory = run_program(json, "").json()["memory"];
  EXPECT_EQ(memory["fits"], false) << memory;
  EXPECT_GT(memory["total"], memory["free"]);
}

TEST(Inspect, ShowsTheRopeThatARunWouldUse) {
  const Outcome from_model = run_program({"inspect", model_fixture("rope-linear"), "--json"}, "");
  ASSERT_EQ(from_model.code, 0) << from_model.err;
  const Json config = Json::parse(read_file(model_fixture("rope-linear") + "/config.json"));
  EXPECT_EQ(from_model.json()["rope"]["policy"], "linear");
  EXPECT_EQ(from_model.json()["rope"]["from_model"], true);
  EXPECT_EQ(from_model.json()["rope"]["options"]["factor"], config["rope_scaling"]["factor"]);
  const Outcome ours = run_program(
      {"inspect", model_fixture("rope-linear"), "--json", "--set", "rope={policy: ntk, alpha: 3}"},
      "");
  EXPECT_EQ(ours.json()["rope"]["policy"], "ntk");
  EXPECT_EQ(ours.json()["rope"]["from_model"], false);
  EXPECT_THAT(ours.err, AllOf(HasSubstr("warning: "), HasSubstr("ntk"), HasSubstr("linear")));
}

TEST(Inspect, TakesAConfigurationAndShowsTheTokenizer) {
  const TemporaryFolder folder;
  const std::string config = write_small_config(folder.path(), {});
  const Outcome outcome = run_program({"inspect", config, "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["model"], (folder.path() / "model").string());
  EXPECT_EQ(outcome.json()["tokenizer"]["vocab_size"], 1024);
  EXPECT_EQ(outcome.json()["tokenizer"]["bos_id"], 1);
  EXPECT_THAT(run_program({"inspect", config}, "").out,
              AllOf(HasSubstr("layers: 2\n"), HasSubstr("  policy: none\n"),
                    HasSubstr("  cache_at_context: 128 KiB\n"), HasSubstr(": fits\n")));
}

TEST(Inspect, VerifiesSoundTensors) {
  const Outcome outcome =
      run_program({"inspect", model_fixture("gptq-b4-g32-act"), "--verify", "--json"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json verify = outcome.json()["verify"];
  EXPECT_EQ(verify["tensors"], outcome.json()["files"][0]["tensors"]);
  EXPECT_EQ(verify["non_finite"], Json::array());
  EXPECT_THAT(run_program({"inspect", model_fixture("gptq-b4-g32-act"), "--verify"}, "").out,
              HasSubstr("sound: " + verify["tensors"].dump() + " tensors read"));
}

// Puts `bytes` at the beginning of a tensor of a single-file checkpoint.
void overwrite(const std::filesystem::path& model, const std::string& tensor,
               const std::string& bytes) {
  const std::string text = read_file(model / "model.safetensors");
  uint64_t header_size = 0;
  std::memcpy(&header_size, text.data(), sizeof header_size);
  const Json header = Json::parse(text.substr(8, header_size));
  std::fstream file(model / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(8 + header_size +
                                         header[tensor]["data_offsets"][0].get<uint64_t>()));
  file << bytes;
}

TEST(Inspect, FindsNanAndZeroScales) {
  const TemporaryFolder folder;
  std::filesystem::copy(model_fixture("gptq-b4-g32-act"), folder.path() / "m");
  const std::string scales = "model.layers.0.mlp.down_proj.scales";
  const std::string embedding = "model.embed_tokens.weight";
  overwrite(folder.path() / "m", scales, std::string("\0\0\0\x80", 4));           // +0 and -0
  overwrite(folder.path() / "m", embedding, std::string("\0\0\0\x7e\0\x7c", 6));  // 0, NaN, inf
  const Outcome outcome =
      run_program({"inspect", (folder.path() / "m").string(), "--verify", "--json"}, "");
  EXPECT_EQ(outcome.code, 3);
  const Json verify = outcome.json()["verify"];
  EXPECT_EQ(verify["non_finite"], Json::parse(R"([{"tensor": "model.embed_tokens.weight",
                                                   "count": 2, "first": 1}])"));
  EXPECT_EQ(verify["zero_scales"], Json::array({{{"tensor", scales}, {"count", 2}, {"first", 0}}}));
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: "), HasSubstr(embedding),
                                 HasSubstr("found 2 values"), HasSubstr("index 1")));
}

TEST(Inspect, TellsTheOptionsOfThePromptFormat) {
  const TemporaryFolder folder;
  const std::string config = write_small_config(folder.path(), {});
  const auto prompt_of = [&](const Arguments& more) {
    Arguments arguments = {"inspect", config, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, "").json()["prompt"];
  };
  EXPECT_FALSE(prompt_of({}).contains("options"));
  const Json prompt = prompt_of({"--set", "prompt.format={chatml: {bos: true}}"});
  EXPECT_EQ(prompt["format"], "chatml");
  EXPECT_EQ(prompt["options"], Json({{"bos", "true"}}));
}

TEST(Inspect, NamesWhatIsMissing) {
  const TemporaryFolder folder;
  const Outcome empty = run_program({"inspect", folder.path()}, "");
  EXPECT_EQ(empty.code, 3);
  EXPECT_THAT(empty.err, AllOf(StartsWith("error: "), HasSubstr("config.json")));
  const Outcome missing = run_program({"inspect", "/nowhere/model"}, "");
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, StartsWith("error: /nowhere/model"));
}

}  // namespace
}  // namespace ropewalk::test
