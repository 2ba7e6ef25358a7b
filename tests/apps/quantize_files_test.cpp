// The files of a model that `ropewalk quantize` made.
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <map>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Of what a shell command prints.
std::string first_word_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 256> line{};
  EXPECT_TRUE(pipe && std::fgets(line.data(), line.size(), pipe)) << command;
  if (pipe) ::pclose(pipe);
  return std::string(line.data()).substr(0, std::string(line.data()).find(' '));
}

// All layers but down_proj have 192 inputs, of which groups of 128 leave 64.
TEST(Quantize, MakesShortGroupsWhereAllowed) {
  const TemporaryFolder folder;
  for (const char* order : {"act", "gar"}) {
    const fs::path out = folder.path() / order;
    const Outcome made = run_program(
        {"quantize", kBase, "--out", out, "--calibration", RW_FIXTURES "/airophin-mini/text.txt",
         "--length", "256", "--bits", "8", "--group-size", "128", "--order", order,
         "--allow-short-group", "--strict", "--backend", "cpu"},
        "");
    ASSERT_EQ(made.code, 0) << made.err;
    const Outcome checked = run_program({"inspect", out, "--verify", "--json"}, "");
    ASSERT_EQ(checked.code, 0) << checked.err;
    EXPECT_EQ(checked.json()["quantization"]["group_size"], 128);
    const Outcome compared =
        run_program({"compare", folder.write("a.yaml", "model: " + kBase + "\n"),
                     folder.write("b.yaml", "model: " + out.string() + "\n"), "--ids",
                     RW_FIXTURES "/airophin-mini/training-form.ids", "--context", "256",
                     "--backend", "cpu", "--json"},
                    "");
    ASSERT_EQ(compared.code, 0) << compared.err;
    EXPECT_LT(compared.json()["kl_mean"].get<double>(), 0.001) << compared.out;
  }
}

// Files in the order of their names, as a shell has them.
TEST(Quantize, NamesTheWeightsThatItQuantised) {
  const TemporaryFolder folder;
  const fs::path shards = folder.path() / "shards", out = folder.path() / "out";
  fs::copy(RW_FIXTURES "/models/dense-f16-sharded", shards);
  std::string ids;
  for (int i = 0; i < 20 * 64; ++i) ids += std::to_string(i * 7 % 90) + (i % 64 == 63 ? "\n" : " ");
  const Outcome made = run_program({"quantize", shards, "--out", out, "--calibration",
                                    folder.write("w.ids", ids), "--backend", "cpu"},
                                   "");
  ASSERT_EQ(made.code, 0) << made.err;
  const std::string meant =
      first_word_of("cd '" + shards.string() + "' && sha256sum *.safetensors | sha256sum");
  const Json config = parse_json(read_file(out / "quantize_config.json"), {"q", ExitCode::model});
  EXPECT_EQ(config["meta"]["source_sha256"], meant);
  const Json report = parse_json(read_file(out / "ropewalk-quantize.json"), {"r", ExitCode::model});
  EXPECT_EQ(report["source_sha256"], meant);
  EXPECT_EQ(report["solver"], "host");
}

// With the adapter that the configuration names, or the command line; the base is what is written.
TEST(Quantize, MakesABaseForAnAdapter) {
  const TemporaryFolder folder;
  const std::string lora = RW_FIXTURES "/adapters/lora", tables = RW_FIXTURES "/adapters/tables";
  const std::string config =
      folder.write("my.yaml", "model: " + kBase + "\nadapters: {a: {path: " + lora +
                                  ", scale: 0.5}, tables: " + tables + "}\nadapter: a\n");
  const auto made = [&](const std::string& out, const Arguments& more) {
    Arguments arguments = {"quantize",      config,
                           "--out",         folder.path() / out,
                           "--calibration", RW_FIXTURES "/airophin-mini/text.txt",
                           "--length",      "64",
                           "--backend",     "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, "");
  };
  const auto adapter_of = [&](const std::string& out) {
    const fs::path file = folder.path() / out / "quantize_config.json";
    return parse_json(read_file(file), {file.string(), ExitCode::model})["meta"]["adapter"];
  };
  const auto weights_of = [&](const std::string& out) {
    return read_file(folder.path() / out / "model.safetensors");
  };
  const Outcome usual = made("usual", {});
  ASSERT_EQ(usual.code, 0) << usual.err;
  EXPECT_THAT(usual.err, HasSubstr("layers see what the model computes beside the adapter a\n"));
  const std::string digest = first_word_of(
      "cd '" + lora + "' && sha256sum adapter_config.json adapter_model.safetensors | sha256sum");
  EXPECT_EQ(adapter_of("usual"), (Json{{"sha256", digest}, {"scale", 0.5}}));
  ASSERT_EQ(made("none", {"--adapter", "none"}).code, 0);
  EXPECT_TRUE(adapter_of("none").is_null());
  ASSERT_EQ(made("whole", {"--set", "adapters.a=" + lora}).code, 0);
  EXPECT_NE(weights_of("usual"), weights_of("none"));
  EXPECT_NE(weights_of("usual"), weights_of("whole")) << "the scale counts";
  const Outcome refused = made("tables", {"--adapter", "tables"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, HasSubstr("whole; a running model takes changes of linear layers"));
  EXPECT_FALSE(fs::exists(folder.path() / "tables"));
}

TEST(Quantize, RefusesASolverThatTheDeviceLacks) {
  const TemporaryFolder folder;
  const auto refusal = [&](const char* solver) {
    const Outcome outcome =
        run_program({"quantize", kBase, "--out", folder.path() / "out", "--calibration",
                     RW_FIXTURES "/airophin-mini/text.txt", "--solver", solver, "--backend", "cpu"},
                    "");
    EXPECT_FALSE(fs::exists(folder.path() / "out")) << "nothing half-written";
    return std::to_string(outcome.code) + " " + outcome.err;
  };
  EXPECT_THAT(refusal("device"), AllOf(StartsWith("5 "), HasSubstr("has no solver for --solver")));
  EXPECT_THAT(refusal("gpu"), AllOf(StartsWith("2 "), HasSubstr("unknown --solver gpu")));
}

// Shards hold what one file holds, and what lies beside the weights comes along as it is.
TEST(Quantize, WritesShardsAndCopiesWhatLiesBesideTheWeights) {
  const TemporaryFolder folder;
  const fs::path base = folder.path() / "base", whole = folder.path() / "whole",
                 shards = folder.path() / "shards";
  fs::copy(kBase, base);
  const std::map<std::string, std::string> beside = {
      {"LICENSE.txt", "free\n"}, {"NOTICE", "notice\n"}, {"chat_template.jinja", "{{ messages }}"}};
  for (const auto& [name, text] : beside) write_file(base / name, text);
  write_file(base / "training_args.bin", "not the model's");
  const auto quantize_to = [&](const fs::path& out, const std::string& shard_size) {
    return run_program(
        {"quantize", base, "--out", out, "--calibration", RW_FIXTURES "/airophin-mini/text.txt",
         "--method", "rtn", "--shard-size", shard_size, "--backend", "cpu"},
        "");
  };
  ASSERT_EQ(quantize_to(whole, "1GB").code, 0);
  ASSERT_EQ(quantize_to(shards, "1MB").code, 0);
  EXPECT_TRUE(fs::exists(whole / "model.safetensors"));
  const auto files = files_of(shards);
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
                           "generation_config.json"})
    EXPECT_EQ(files.at(name), read_file(base / name)) << name;
  for (const auto& [name, text] : beside) EXPECT_EQ(files.at(name), text) << name;
  EXPECT_FALSE(files.contains("training_args.bin"));
  EXPECT_FALSE(files.contains("model.safetensors"));
  EXPECT_TRUE(files.contains("model.safetensors.index.json"));
  EXPECT_TRUE(files.contains("model-00002-of-00003.safetensors"));
  const std::string ids = folder.write("ids", "1 5 7");
  const auto logits_of = [&](const fs::path& model) {
    return run_program({"run", model, "--prompt-ids", ids, "-n", "1", "--backend", "cpu", "--json"},
                       "")
        .json()["logits_hash"];
  };
  EXPECT_EQ(logits_of(shards), logits_of(whole));
}

}  // namespace
}  // namespace ropewalk::test
