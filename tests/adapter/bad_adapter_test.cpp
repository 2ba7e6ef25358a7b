// Adapters that must be refused, and in which words: damaged ones, ones that are no plain LoRA, and
// ones of another base.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <regex>
#include <set>

#include "core/adapter/base_fit.h"
#include "core/adapter/run_time.h"
#include "core/model/families.h"
#include "tests/adapter/tiny_adapter.h"

namespace ropewalk::test {
namespace {

struct BadAdapter {
  std::string name;
  std::function<void(TinyAdapter&)> spoil;
  std::string pattern;  // in the message
};

std::function<void(TinyAdapter&)> field(const std::string& name, const Json& value) {
  return [=](TinyAdapter& adapter) { adapter.config[name] = value; };
}

std::function<void(TinyAdapter&)> tensor(const std::string& name, const TinyTensor& tensor) {
  return [=](TinyAdapter& adapter) { adapter.tensors[name] = tensor; };
}

std::function<void(TinyAdapter&)> without(const std::string& name) {
  return [=](TinyAdapter& adapter) { adapter.tensors.erase(name); };
}

std::vector<float> values(size_t count, float value) { return std::vector<float>(count, value); }

const std::string kA = kModule + ".lora_A.weight", kB = kModule + ".lora_B.weight";

std::vector<BadAdapter> refused_types() {
  const std::string init = "adapter_config.json: init_lora_weights: found \"";
  return {
      {"loha", field("peft_type", "LOHA"), "peft_type: found \"LOHA\", expected \"LORA\""},
      {"no_type", field("peft_type", nullptr), "peft_type: is missing"},
      {"pissa", field("init_lora_weights", "pissa"),
       init + "pissa\": PiSSA changed the base model"},
      {"pissa_niter", field("init_lora_weights", "pissa_niter_16"),
       init + "pissa_niter_16\": PiSSA"},
      {"olora", field("init_lora_weights", "olora"), init + "olora\": OLoRA"},
      {"corda", field("init_lora_weights", "corda"), init + "corda\": CorDA"},
      {"loftq", field("init_lora_weights", "loftq"), init + "loftq\": LoftQ"},
      {"lora_ga", field("init_lora_weights", "lora_ga"), init + "lora_ga\": LoRA-GA"},
      {"fan_in_fan_out", field("fan_in_fan_out", true), "fan_in_fan_out: found true: .*transposed"},
      {"layer_replication", field("layer_replication", {{0, 1}}), "layer_replication: .*repeated"},
      {"alora", field("alora_invocation_tokens", {1, 2}), "alora_invocation_tokens: .*aLoRA"},
      {"qalora", field("use_qalora", true), "use_qalora: .*QA-LoRA"},
      {"bdlora", field("use_bdlora", {{"nblocks", 2}}), "use_bdlora: .*BD-LoRA"},
      {"arrow", field("arrow_config", {{"top_k", 3}}), "arrow_config: .*Arrow"},
      {"kasa", field("use_kasa", true), "use_kasa: .*KaSA"},
      {"parameters", field("target_parameters", {"experts.down"}),
       "target_parameters: .*outside of linear"},
  };
}

std::vector<BadAdapter> refused_fields() {
  return {
      {"rank_0", field("r", 0), "r: found 0, expected an integer from 1 to 512"},
      {"rank_negative", field("r", -4), "r: found -4, expected an integer"},
      {"rank_wide", field("r", 513), "r: found 513, expected an integer from 1 to 512"},
      {"rank_text", field("r", "8"), "r: found \"8\", expected an integer"},
      {"alpha_large", field("lora_alpha", 1e300),
       "lora_alpha: found 1e\\+300, expected a number that f32"},
      {"alpha_text", field("lora_alpha", "big"), "lora_alpha: found \"big\", expected a number"},
      {"pattern", field("rank_pattern", {{"q|k", 2}}),
       "rank_pattern.q\\|k: is a pattern of more than"},
      {"pattern_rank", field("rank_pattern", {{"golden", 0}}), "rank_pattern.golden: found 0"},
      {"pattern_rank_wide", field("rank_pattern", {{"golden", 513}}),
       "rank_pattern.golden: found 513"},
      {"alpha_pattern", field("alpha_pattern", {{"(a)*", 2}}),
       "alpha_pattern.\\(a\\)\\*: is a pattern"},
      {"dora_without", field("use_dora", true),
       "lora_A.weight: lacks a magnitude, but .*use_dora: true"},
      {"config_is_list", [](TinyAdapter& adapter) { adapter.config = Json::array({1}); },
       "expected an object"},
  };
}

std::vector<BadAdapter> refused_files() {
  return {
      {"json",
       [](TinyAdapter& adapter) { adapter.files["adapter_config.json"] = "{\"peft_type\": "; },
       "adapter_config.json: .*"},
      {"json_duplicate",
       [](TinyAdapter& adapter) {
         adapter.files["adapter_config.json"] = R"({"peft_type": "LORA", "peft_type": "LORA"})";
       },
       "adapter_config.json: .*"},
      {"no_config", [](TinyAdapter& adapter) { adapter.config = nullptr; },
       "adapter_config.json: does not exist"},
      {"two_files", [](TinyAdapter& adapter) { adapter.files["adapter_model.bin"] = "PK"; },
       "adapter_model.bin: lies beside adapter_model.safetensors"},
      {"truncated",
       [](TinyAdapter& adapter) { adapter.files["adapter_model.safetensors"] = "abc"; },
       "has 3 bytes, too few"},
      {"empty", [](TinyAdapter& adapter) { adapter.tensors.clear(); }, "holds no tensor"},
  };
}

std::vector<BadAdapter> refused_tensors() {
  std::vector<float> nan = values(12, 1);
  nan[7] = NAN;
  return {
      {"no_b", without(kB), "lora_A.weight: has no lora_B beside it"},
      {"no_a", without(kA), "lora_B.weight: has no lora_A beside it"},
      {"rank_of_a", tensor(kA, floats({3, 6}, values(18, 1))),
       "lora_A.weight: has the rank 3, expected 2"},
      {"rank_of_b", tensor(kB, floats({4, 3}, values(12, 1))),
       "lora_B.weight: has the rank 3, expected 2"},
      {"no_matrix", tensor(kA, floats({12}, values(12, 1))), "lora_A.weight: is no matrix"},
      {"nan", tensor(kA, floats({2, 6}, nan)),
       "lora_A.weight: found 1 values that are NaN or infinite, "
       "the first at index 7"},
      {"infinite", tensor(kB, floats({4, 2}, values(8, INFINITY))),
       "lora_B.weight: found 8 values"},
      {"nan_magnitude",
       [](TinyAdapter& adapter) {
         adapter.config["use_dora"] = true;
         adapter.tensors[kModule + ".lora_magnitude_vector"] = floats({4}, {1, 1, NAN, 1});
       },
       "lora_magnitude_vector: found 1 values that are NaN or infinite, the first at index 2"},
      {"integers", tensor(kB, {"I32", {4, 2}, std::string(32, '\1')}),
       "is I32, expected F32, F16 or BF16"},
      {"unknown", tensor(kModule + ".lora_C.weight", floats({1}, {1})), "is no tensor of a LoRA"},
      {"vera", tensor(kModule + ".vera_lambda_b", floats({1}, {1})), "is no tensor of a LoRA"},
      {"two_adapters", tensor(kModule + "2.lora_A.second.weight", floats({2, 6}, values(12, 1))),
       "belongs to the adapter \"second\", others in the file to \"\""},
      {"magnitude", tensor(kModule + ".lora_magnitude_vector", floats({4}, values(4, 1))),
       "is a magnitude, but .*use_dora: false"},
      {"bias_shape", tensor(kModule + ".lora_B.bias", floats({5}, values(5, 1))),
       "has the shape \\[5\\], expected \\[4\\]"},
      {"token_rows",
       tensor("model.embed_tokens.token_adapter.trainable_tokens_delta",
              floats({1, 64}, values(64, 1))),
       "expected a row for each of the 0 tokens"},
      {"there_twice", tensor(kModule + ".lora_embedding_A", floats({2, 6}, values(12, 1))),
       "lora_embedding_A: is there twice, as base_model.model.model.layers.0.golden.lora_A.weight"},
      {"dora_of_a_table",
       [](TinyAdapter& adapter) {
         adapter.config["use_dora"] = true;
         adapter.tensors["model.embed_tokens.lora_embedding_A"] = floats({2, 32}, values(64, 1));
         adapter.tensors["model.embed_tokens.lora_embedding_B"] = floats({64, 2}, values(128, 1));
         adapter.tensors["model.embed_tokens.lora_magnitude_vector"] = floats({32}, values(32, 1));
       },
       "is a DoRA of a table of embeddings, expected linear layers"},
      {"b_zero", tensor(kB, floats({4, 2}, values(8, 0))), "changes nothing: every lora_B is zero"},
  };
}

std::vector<BadAdapter> other_bases() {
  const auto moved = [](const std::string& module) {
    return [=](TinyAdapter& adapter) {
      std::map<std::string, TinyTensor> tensors;
      tensors[module + ".lora_A.weight"] = adapter.tensors[kA];
      tensors[module + ".lora_B.weight"] = adapter.tensors[kB];
      adapter.tensors = tensors;
    };
  };
  return {
      {"layers", moved("model.layers.40.mlp.up_proj"),
       "changes model.layers.40.mlp.up_proj, which .*base does not have: it has 1 layers"},
      {"module", moved("model.layers.0.block_sparse_moe.gate"), "which .*base does not have"},
      {"inputs", tensor(kA, floats({2, 7}, values(14, 1))),
       "lora_A.weight: is for a matrix \\(4, 7\\), but model.layers.0.golden of .*base is \\(4, "
       "6\\)"},
      {"outputs", tensor(kB, floats({5, 2}, values(10, 1))),
       "lora_B.weight: is for a matrix \\(5, 6\\)"},
      {"bias", tensor(kModule + ".lora_B.bias", floats({4}, values(4, 1))),
       "adds to a bias, but .*has none"},
      {"whole", tensor("model.layers.0.extra.weight", floats({2}, values(2, 1))),
       "replaces model.layers.0.extra.weight, which .*base does not have"},
      {"norm", tensor("model.norm.weight", floats({65}, values(65, 1))),
       "has another shape than model.norm.weight of"},
      {"vocabulary",
       [](TinyAdapter& adapter) {
         adapter.tensors["model.embed_tokens.lora_embedding_A"] = floats({2, 33}, values(66, 1));
         adapter.tensors["model.embed_tokens.lora_embedding_B"] = floats({64, 2}, values(128, 1));
       },
       "is for a matrix \\(33, 64\\), but model.embed_tokens of .*base is \\(32, 64\\)"},
      {"vocabulary_of_the_head", tensor("lm_head.weight", floats({33, 64}, values(33 * 64, 1))),
       "would leave 32 tokens in model.embed_tokens and 33 in lm_head"},
      {"token_id",
       [](TinyAdapter& adapter) {
         adapter.config["trainable_token_indices"] = {32};
         adapter.tensors["model.embed_tokens.token_adapter.trainable_tokens_delta"] =
             floats({1, 64}, values(64, 1));
       },
       "does not fit model.embed_tokens"},
  };
}

std::vector<BadAdapter> all_bad_adapters() {
  std::vector<BadAdapter> all;
  for (const auto& table :
       {refused_types(), refused_fields(), refused_files(), refused_tensors(), other_bases()})
    all.insert(all.end(), table.begin(), table.end());
  return all;
}

class BadAdapters : public ::testing::TestWithParam<BadAdapter> {};

TEST_P(BadAdapters, AreRefusedInWords) {
  TinyAdapter adapter = golden_adapter();
  GetParam().spoil(adapter);
  try {
    const OpenPair pair(golden_base(), adapter);
    check_fit(*pair.adapter, *pair.base);
    pair.merged(kModule + ".weight");
    FAIL() << "was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::model) << error.what();
    EXPECT_TRUE(std::regex_search(error.what(), std::regex(GetParam().pattern)))
        << "said:   " << error.what() << "\nwanted: " << GetParam().pattern;
  }
}

INSTANTIATE_TEST_SUITE_P(Table, BadAdapters, ::testing::ValuesIn(all_bad_adapters()),
                         [](const auto& row) { return row.param.name; });

TEST(BadAdapterTable, SpoilsAnAdapterThatIsSound) {
  const OpenPair pair(golden_base(), golden_adapter());
  EXPECT_NO_THROW(check_fit(*pair.adapter, *pair.base));
}

// What is sound, and can be merged only.
TEST(RunTime, RefusesTablesAndWholeWeights) {
  const auto refusal_of = [](const TinyAdapter& tiny) {
    const TemporaryFolder folder;
    write_adapter(tiny, folder.path());
    return run_time_refusal(Adapter(folder.path()));
  };
  EXPECT_EQ(refusal_of(golden_adapter()), "");
  TinyAdapter biased = golden_adapter();
  biased.tensors[kModule + ".lora_B.bias"] = floats({4}, {1, 2, 3, 4});
  biased.tensors[kModule + ".bias"] = floats({4}, {1, 2, 3, 4});
  EXPECT_EQ(refusal_of(biased), "");
  TinyAdapter whole = golden_adapter();
  whole.tensors["lm_head.weight"] = floats({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(refusal_of(whole), "brings lm_head.weight whole");
  TinyAdapter table = golden_adapter();
  table.tensors["model.embed_tokens.lora_embedding_A"] = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  table.tensors["model.embed_tokens.lora_embedding_B"] = floats({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(refusal_of(table), "changes the table model.embed_tokens");
}

// A dump of the state has the adapter's own name in every key.
TEST(AdapterKeys, TakeOneNameOfARawDump) {
  TinyAdapter adapter = golden_adapter();
  adapter.tensors = {{kModule + ".lora_A.default.weight", adapter.tensors[kA]},
                     {kModule + ".lora_B.default.weight", adapter.tensors[kB]}};
  const OpenPair raw(golden_base(), adapter), plain(golden_base(), golden_adapter());
  EXPECT_EQ(raw.merged(kModule + ".weight"), plain.merged(kModule + ".weight"));
}

}  // namespace
}  // namespace ropewalk::test
