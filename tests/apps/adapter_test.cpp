// `ropewalk adapter`: check, merge and combine from the command line, against what PEFT computes
// with the same adapters (tools/adapters).
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/adapter/peft.h"
#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Outcome adapter(Arguments arguments) {
  arguments.insert(arguments.begin(), "adapter");
  return run_program(arguments, "");
}

class Merged : public ::testing::TestWithParam<const char*> {};

// The merged model, run by us, predicts what PEFT predicts with base and adapter apart.
TEST_P(Merged, PredictsWhatPeftPredicts) {
  const Json expected = peft_expects(GetParam());
  const TemporaryFolder folder;
  const std::string out = folder.path() / "merged";
  Arguments merge = {"merge",   RW_SOURCE_DIR "/" + expected["base"].get<std::string>(),
                     "--out",   out,
                     "--dtype", "f32",
                     "--json"};
  for (const Json& entry : expected["adapters"])
    merge.insert(merge.end(),
                 {"--adapter", peft_folder(entry[0].get<std::string>()) + ":" + entry[1].dump()});
  const Outcome made = adapter(merge);
  ASSERT_EQ(made.code, 0) << made.err;
  std::string ids;
  for (const Json& id : expected["ids"]) ids += id.dump() + " ";
  const Outcome scored = run_program(
      {"score", folder.write("merged.yaml", "model: " + out + "\n"), "--ids",
       folder.write("ids", ids), "--backend", "cpu", "--set", "context.kv_cache=f32", "--json"},
      "");
  ASSERT_EQ(scored.code, 0) << scored.err;
  const Json logprobs = scored.json()["logprobs"];
  ASSERT_EQ(logprobs.size(), expected["logprobs"].size() + 1);
  for (size_t i = 0; i < expected["logprobs"].size(); ++i)
    EXPECT_NEAR(logprobs[i + 1].get<double>(), expected["logprobs"][i].get<double>(), 1e-4) << i;
}

INSTANTIATE_TEST_SUITE_P(All, Merged, peft_variants(), variant_name);

TEST(AdapterCheck, TellsWhatTheFolderHolds) {
  const Outcome outcome =
      adapter({"check", peft_folder("rslora-patterns"), "--base", kBase, "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(answer["rank"], 4);
  EXPECT_EQ(answer["rslora"], true);
  EXPECT_EQ(answer["coverage"]["adapted"], 14);
  EXPECT_EQ(answer["coverage"]["of"], 35);
  EXPECT_EQ(answer["merge"], "yes");
  EXPECT_EQ(answer["run_time"], "yes");
  EXPECT_EQ(answer["modules"].size(), 14u);
  EXPECT_GT(answer["modules"][0]["relative_norm"].get<double>(), 1e-5);
  EXPECT_EQ(answer["doubts"].size(), 0u);
}

TEST(AdapterCheck, NeedsNoBase) {
  const Outcome outcome = adapter({"check", peft_folder("dora")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("rank, alpha    2, 4, DoRA"), HasSubstr("merge          alone: it is a DoRA"),
            HasSubstr("run time       yes"), HasSubstr("model.layers.4.mlp.down_proj")));
}

TEST(AdapterCheck, MeasuresATextWithAndWithout) {
  const Outcome outcome =
      adapter({"check", peft_folder("lora"), "--base", kBase, "--text",
               RW_FIXTURES "/airophin-mini/text.txt", "--backend", "cpu", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json measured = outcome.json()["perplexity"];
  EXPECT_LT(measured["with"].get<double>(), 0.999 * measured["without"].get<double>())
      << "it was trained on this text";
}

// What PEFT cannot merge for want of a bias in the base.
TEST(AdapterCheck, SaysWhyItCannotBeMerged) {
  const Outcome outcome = adapter({"check", peft_folder("lora-bias"), "--base", kBase, "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(
      answer["merge"],
      "no: it adds to the bias of model.layers.2.mlp.down_proj, which the base does not have");
  EXPECT_EQ(answer["run_time"], "yes");
}

// A quantised base cannot have it in its weights, but runs with it.
TEST(AdapterCheck, MeasuresATextOverAQuantisedBase) {
  const Outcome outcome =
      adapter({"check", peft_folder("lora"), "--base", RW_SOURCE_DIR "/models/airophin-mini",
               "--text", RW_FIXTURES "/airophin-mini/text.txt", "--backend", "cpu", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  EXPECT_EQ(answer["merge"], "no: the base is quantised");
  EXPECT_LT(answer["perplexity"]["with"].get<double>(),
            0.999 * answer["perplexity"]["without"].get<double>());
}

TEST(AdapterCheck, DoubtsABaseUnderAnotherName) {
  const TemporaryFolder folder;
  std::filesystem::copy(kBase, folder.path() / "other");
  const Outcome outcome =
      adapter({"check", peft_folder("lora"), "--base", folder.path() / "other", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("made for \"models/airophin-mini-f16\", the base is \"other\""));
  EXPECT_EQ(outcome.json()["doubts"].size(), 1u);
}

TEST(AdapterCheck, RefusesAnotherBase) {
  const Outcome outcome =
      adapter({"check", peft_folder("lora"), "--base", RW_FIXTURES "/models/dense-f16"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err,
              AllOf(StartsWith("error: "), HasSubstr("adapter was made for another base")));
}

// A run with an adapter beside the weights, by the configuration and by the command line.
class WithAdapters : public ::testing::Test {
 protected:
  std::string config(const std::string& more) const {
    return folder_.write("c.yaml", "model: " + kBase + "\nbackend: cpu\n" + more);
  }
  static Outcome run(const std::string& config, Arguments more = {}) {
    Arguments all = {"run", config, "--prompt", "who are you", "-n", "12", "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all, "");
  }

  TemporaryFolder folder_;
  const std::string adapters_ =
      "adapters: {lora: " + peft_folder("lora") + ", tables: " + peft_folder("tables") + "}\n";
};

TEST_F(WithAdapters, TheCommandLineChoosesOne) {
  const std::string file = config("adapters: {lora: " + peft_folder("lora") + "}\n");
  const Outcome without = run(file), with = run(file, {"--adapter", "lora"});
  ASSERT_EQ(with.code, 0) << with.err;
  EXPECT_NE(with.json()["logits_hash"], without.json()["logits_hash"]);
  EXPECT_EQ(run(file, {"--adapter", "none"}).json()["logits_hash"], without.json()["logits_hash"]);
  EXPECT_EQ(run(config("adapters: {lora: " + peft_folder("lora") + "}\nadapter: lora\n"))
                .json()["logits_hash"],
            with.json()["logits_hash"]);
  EXPECT_EQ(run(kBase, {"--backend", "cpu", "--set", "adapters.lora=" + peft_folder("lora"),
                        "--adapter", "lora"})
                .json()["logits_hash"],
            with.json()["logits_hash"]);
}

TEST_F(WithAdapters, WhatCannotRunIsRefusedByName) {
  const Outcome tables = run(config(adapters_));
  EXPECT_EQ(tables.code, 3);
  EXPECT_EQ(tables.err,
            "error: " + peft_folder("tables") +
                ": brings model.layers.0.input_layernorm.weight whole; a running model takes "
                "changes of linear layers and of their biases. Merge it with `ropewalk adapter "
                "merge`.\n");
  const Outcome unknown = run(config(""), {"--adapter", "lora"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("adapter: found lora, expected one of none"));
}

TEST_F(WithAdapters, TheMemoryTellsTheirSlots) {
  const std::string one = "adapters: {a: " + peft_folder("lora") + "}\n";
  const std::string two =
      "adapters: {a: " + peft_folder("lora") + ", b: " + peft_folder("rslora-patterns") + "}\n";
  const auto bytes = [&](const std::string& more) {
    return run_program({"inspect", config(more), "--json"}, "").json()["memory"]["adapters"];
  };
  EXPECT_GT(bytes(two).get<uint64_t>(), bytes(one).get<uint64_t>());
  EXPECT_LT(bytes(two + "adapter_slots: 1\n").get<uint64_t>(), bytes(two).get<uint64_t>());
  EXPECT_THAT(run_program({"inspect", config(two)}, "").out,
              ::testing::ContainsRegex("\n  adapters: [0-9.]+ [KM]iB\n"));
}

TEST_F(WithAdapters, AChatChangesIt) {
  const std::string file =
      config("adapters: {lora: " + peft_folder("lora") + "}\nprompt: {format: vicuna-v1.1}\n");
  const auto chat = [&](const std::string& lines, Arguments more = {}) {
    Arguments all = {"chat", file, "-n", "6"};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all, lines);
  };
  const std::string with = chat("hello\n", {"--adapter", "lora"}).out;
  const std::string without = chat("hello\n").out;
  EXPECT_EQ(chat("/adapter lora\nhello\n").out, with);
  EXPECT_EQ(chat("/adapter none\nhello\n", {"--adapter", "lora"}).out, without);
  EXPECT_THAT(chat("/adapter\n").err, HasSubstr("the adapter: none, of none, lora"));
  EXPECT_THAT(chat("hello\n/adapter lora\n").err,
              HasSubstr("lora replies from now on; it reads the conversation anew"));
  EXPECT_THAT(chat("/adapter other\n").err, HasSubstr("expected one of none, lora"));
}

TEST(AdapterMerge, KeepsWhatItDoesNotChange) {
  const TemporaryFolder folder;
  const std::filesystem::path out = folder.path() / "merged";
  const Outcome outcome = adapter({"merge", kBase, "--adapter", peft_folder("lora"), "--out", out});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.model",
                           "tokenizer_config.json", "special_tokens_map.json"})
    EXPECT_EQ(read_file(out / name), read_file(std::filesystem::path(kBase) / name)) << name;
  for (const auto& entry : std::filesystem::directory_iterator(out))
    EXPECT_NE(entry.path().extension(), ".partial");
}

TEST(AdapterMerge, WritesTheTypeIntoTheConfig) {
  const TemporaryFolder folder;
  const std::filesystem::path out = folder.path() / "merged";
  ASSERT_EQ(
      adapter({"merge", kBase, "--adapter", peft_folder("lora"), "--out", out, "--dtype", "bf16"})
          .code,
      0);
  EXPECT_THAT(read_file(out / "config.json"), HasSubstr("\"torch_dtype\": \"bfloat16\""));
  EXPECT_EQ(run_program({"inspect", out, "--verify"}, "").code, 0);
}

TEST(AdapterMerge, TakesAConfigurationForItsBase) {
  const TemporaryFolder folder;
  const std::filesystem::path config = folder.write("base.yaml", "model: " + kBase + "\n");
  const Outcome outcome = adapter(
      {"merge", config, "--adapter", peft_folder("lora") + ":0.5", "--out", folder.path() / "out"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

struct Refused {
  const char* name;
  Arguments arguments;
  int code;
  const char* message;
};

class AdapterRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(AdapterRefuses, InWords) {
  const TemporaryFolder folder;
  folder.write("taken/config.json", "{}");
  folder.write("bare/adapter_config.json", R"({"peft_type": "LORA"})");
  Arguments arguments = GetParam().arguments;
  for (std::string& argument : arguments) {
    if (argument == "BARE") argument = folder.path() / "bare";
    if (argument == "OUT") argument = folder.path() / "out";
    if (argument == "TAKEN") argument = folder.path() / "taken";
  }
  const Outcome outcome = adapter(arguments);
  EXPECT_EQ(outcome.code, GetParam().code) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(GetParam().message));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "out")) << "nothing half-written";
  EXPECT_EQ(read_file(folder.path() / "taken/config.json"), "{}");
}

const std::string kPacked = RW_SOURCE_DIR "/models/airophin-mini";

INSTANTIATE_TEST_SUITE_P(
    Table, AdapterRefuses,
    ::testing::Values(
        Refused{"taken",
                {"merge", kBase, "--adapter", peft_folder("lora"), "--out", "TAKEN"},
                2,
                "taken: is not empty, found config.json in it. Remove it or choose another"},
        Refused{"quantised",
                {"merge", kPacked, "--adapter", peft_folder("lora"), "--out", "OUT"},
                3,
                "is quantised, expected the f16, bf16 or f32 model"},
        Refused{"scale",
                {"merge", kBase, "--adapter", peft_folder("lora") + ":x", "--out", "OUT"},
                2,
                "expected DIR:SCALE with a finite number other than 0"},
        Refused{"scale_nan",
                {"merge", kBase, "--adapter", peft_folder("lora") + ":nan", "--out", "OUT"},
                2,
                "expected DIR:SCALE with a finite number other than 0"},
        Refused{"scale_zero",
                {"merge", kBase, "--adapter", peft_folder("lora") + ":0", "--out", "OUT"},
                2,
                "expected DIR:SCALE with a finite number other than 0"},
        Refused{"twice",
                {"merge", kBase, "--adapter", peft_folder("lora"), "--adapter",
                 peft_folder("lora") + ":2", "--out", "OUT"},
                2,
                "is named twice"},
        Refused{"dtype",
                {"merge", kBase, "--adapter", peft_folder("lora"), "--out", "OUT", "--dtype", "f8"},
                2,
                "unknown --dtype f8"},
        Refused{
            "base_as",
            {"merge", kBase, "--adapter", peft_folder("lora"), "--out", "OUT", "--base-as", "nf8"},
            2,
            "unknown --base-as nf8"},
        Refused{"no_adapter", {"merge", kBase, "--out", "OUT"}, 2, "--adapter is required"},
        Refused{"missing",
                {"merge", kBase, "--adapter", peft_folder("none"), "--out", "OUT"},
                3,
                "adapters/none: does not exist"},
        Refused{"no_weights",
                {"check", "BARE"},
                3,
                "adapter_model.safetensors: does not exist, and neither does adapter_model.bin"},
        Refused{"no_folder", {"check", peft_folder("none")}, 3, "adapters/none: does not exist"},
        Refused{"text_alone",
                {"check", peft_folder("lora"), "--text", "f"},
                2,
                "--text requires --base"},
        Refused{"two_doras",
                {"merge", kBase, "--adapter", peft_folder("dora"), "--adapter", peft_folder("lora"),
                 "--out", "OUT"},
                2,
                "is a DoRA, which cannot be added to other adapters"},
        Refused{"combine_dora",
                {"combine", peft_folder("dora"), peft_folder("lora"), "--out", "OUT"},
                2,
                "is a DoRA"},
        Refused{"combine_rows",
                {"combine", peft_folder("tokens"), peft_folder("lora"), "--out", "OUT"},
                2,
                "brings single rows of a table"},
        Refused{"option",
                {"merge", kBase, "--adaptor", peft_folder("lora"), "--out", "OUT"},
                2,
                "unknown option --adaptor. Did you mean --adapter, see `ropewalk adapter merge "
                "--help`"},
        Refused{"command", {"marge"}, 2, "unknown command marge. Did you mean merge"},
        Refused{"no_command", {}, 2, "no command was given. See `ropewalk adapter --help`"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(AdapterCombine, MakesAnAdapterThatMergesAlike) {
  const TemporaryFolder folder;
  const std::string one = folder.path() / "one";
  const Outcome outcome = adapter({"combine", peft_folder("lora") + ":2",
                                   peft_folder("rslora-patterns"), "--out", one, "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["rank"], 10);
  const Outcome checked = adapter({"check", one, "--base", kBase, "--json"});
  ASSERT_EQ(checked.code, 0) << checked.err;
  EXPECT_EQ(checked.json()["coverage"]["adapted"], 20);
}

TEST(AdapterMerge, TakesTheTokenizerOfGrownTables) {
  const TemporaryFolder folder;
  const std::filesystem::path grown = folder.path() / "grown";
  std::filesystem::copy(peft_folder("lora"), grown);
  // The tables of the bundled model have 1024 rows of 192 values.
  const std::string rows(1026 * 192 * 2, '\0');
  const Json header = {
      {"base_model.model.model.embed_tokens.weight",
       {{"dtype", "F16"}, {"shape", {1026, 192}}, {"data_offsets", {0, rows.size()}}}},
      {"base_model.model.lm_head.weight",
       {{"dtype", "F16"},
        {"shape", {1026, 192}},
        {"data_offsets", {rows.size(), 2 * rows.size()}}}}};
  const std::string text = header.dump();
  std::string file(8, '\0');
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(text.size() >> (8 * i) & 255);
  write_file(grown / "adapter_model.safetensors", file + text + rows + rows);
  const std::string out = folder.path() / "out";
  const Outcome without = adapter({"merge", kBase, "--adapter", grown, "--out", out});
  EXPECT_EQ(without.code, 3);
  EXPECT_THAT(without.err, HasSubstr("brings tables of 1026 tokens, but no tokenizer"));
  EXPECT_FALSE(std::filesystem::exists(out));
  std::filesystem::copy(std::filesystem::path(kBase) / "tokenizer.model",
                        grown / "tokenizer.model");
  write_file(grown / "added_tokens.json", R"({"<a>": 1024, "<b>": 1025})");
  const Outcome with = adapter({"merge", kBase, "--adapter", grown, "--out", out});
  ASSERT_EQ(with.code, 0) << with.err;
  EXPECT_THAT(read_file(out + "/config.json"), HasSubstr("\"vocab_size\": 1026"));
  EXPECT_THAT(read_file(out + "/added_tokens.json"), HasSubstr("<b>"));
  std::filesystem::remove_all(out);
  write_file(grown / "added_tokens.json", R"({"<a>": 1024, "<b>": 1025, "<c>": 1026})");
  const Outcome more = adapter({"merge", kBase, "--adapter", grown, "--out", out});
  EXPECT_EQ(more.code, 3);
  EXPECT_THAT(more.err, HasSubstr("brings tables of 1026 tokens, but a tokenizer of 1027"));
}

// Before anything runs, also where another adapter has the only slot.
TEST(AdapterAtRunTime, AValueBeyondF16IsToldByTheKeyInTheConfiguration) {
  const std::string path = peft_folder("lora");
  for (const std::string& set : {std::string("adapters={}"), "adapters={small: " + path + "}"}) {
    const Outcome outcome =
        run_program({"run", RW_SOURCE_DIR "/configs/airophin-mini.yaml", "--prompt", "hi",
                     "--backend", "cpu", "--set", set, "--set",
                     "adapters.big={scale: 1e9, path: " + path + "}", "--set", "adapter_slots=1"},
                    "");
    EXPECT_EQ(outcome.code, 3) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: adapters.big: model.layers.0."),
                                   HasSubstr("_proj has the value"),
                                   HasSubstr("expected at most 65504, which f16 holds")));
  }
}

}  // namespace
}  // namespace ropewalk::test
