// run: the answer on stdout and nothing else, in text and in JSON.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "core/text/tokenizer.h"
#include "tests/apps/program.h"
#include "tests/apps/small_model.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Run : public ::testing::Test {
 protected:
  Outcome run(Arguments arguments, std::string_view input = "") const {
    Arguments all = {"run", config_};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return run_program(all, input);
  }

  TemporaryFolder folder_;
  std::string config_ = write_small_config(folder_.path(), {});
};

TEST_F(Run, AnswersInJson) {
  const Outcome outcome = run({"--prompt", "hi", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json answer = outcome.json();
  std::vector<std::string> keys;
  for (const auto& [key, value] : answer.items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"prompt_ids", "ids", "text", "finish", "logits_hash",
                                            "stats"}));
  EXPECT_EQ(answer["prompt_ids"], Json::parse("[1, 926]"));  // raw: BOS and the text
  EXPECT_EQ(answer["ids"].size(), 16);
  EXPECT_EQ(answer["finish"], "length");
  const Json& stats = answer["stats"];
  EXPECT_EQ(stats["prompt_tokens"], 2);
  EXPECT_EQ(stats["new_tokens"], 16);
  EXPECT_GT(stats["decode_tokens_per_s"].get<double>(), 0);
  EXPECT_GT(stats["decode_gbs"].get<double>(), 0);
  EXPECT_GT(stats["memory"]["weights"].get<uint64_t>(), 0);
}

TEST_F(Run, TheHashOfTheLogitsIsThatOfTheRun) {
  const auto hash = [&](const Arguments& arguments) {
    return run(arguments).json()["logits_hash"].get<std::string>();
  };
  const std::string first = hash({"--prompt", "hi", "--json"});
  EXPECT_THAT(first, testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(hash({"--prompt", "hi", "--json"}), first);
  EXPECT_NE(hash({"--prompt", "ho", "--json"}), first);
  EXPECT_NE(hash({"--prompt", "hi", "--json", "--max-new-tokens", "15"}), first);
}

// Two prompt tokens in one step, then a step for each new token but the last.
TEST_F(Run, TracesEveryLaunchOfEveryStep) {
  const std::string file = folder_.path() / "trace.json";
  const Outcome outcome =
      run({"--prompt", "hi", "--max-new-tokens", "3", "--trace", file, "--backend", "cpu"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, run({"--prompt", "hi", "--max-new-tokens", "3"}).out);
  const Json trace = Json::parse(read_file(file));
  std::vector<std::string> tracks, steps;
  std::map<std::string, int> launches;
  double step_end = 0;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == "M") {
      tracks.push_back(event["args"]["name"]);
      continue;
    }
    EXPECT_GE(event["dur"].get<double>(), 0);
    EXPECT_GT(event["args"]["bytes"].get<double>(), 0);
    EXPECT_TRUE(event["dur"] == 0.0 || event["args"].contains("of_ceiling"));
    if (event["tid"] == 2) {
      ++launches[event["name"]];
      continue;
    }
    steps.push_back(event["name"]);
    EXPECT_EQ(event["args"]["rows"], steps.size() == 1 ? 2 : 1);
    EXPECT_GE(event["ts"].get<double>(), step_end);
    step_end = event["ts"].get<double>() + event["dur"].get<double>();
  }
  EXPECT_EQ(tracks.size(), 2);
  EXPECT_EQ(tracks[0], "steps");
  EXPECT_EQ(steps, (std::vector<std::string>{"step 0", "step 1", "step 2"}));
  EXPECT_GT(launches.size(), 10);
  for (const auto& [name, count] : launches) EXPECT_EQ(count, 3) << name;
  EXPECT_EQ(launches.count("model.layers.0.self_attn.q_proj"), 1);
}

TEST_F(Run, RefusesATraceThatCannotBeWritten) {
  const Outcome outcome = run({"--prompt", "hi", "--trace", folder_.path() / "none" / "t.json"});
  EXPECT_EQ(outcome.code, 8);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("t.json: cannot be written: No such file or directory"),
                                 HasSubstr("Check the folder")));
  EXPECT_EQ(outcome.out, "");
}

TEST_F(Run, StreamsTheSameTextAndNothingElse) {
  const std::string text = run({"--prompt", "hi", "--json"}).json()["text"];
  EXPECT_NE(text, "");
  const Outcome plain = run({"--prompt", "hi"});
  EXPECT_EQ(plain.code, 0);
  EXPECT_EQ(plain.out, text + "\n");
  EXPECT_EQ(plain.err, "");  // no terminal, so no statistics
}

TEST_F(Run, TakesThePromptFromEverywhere) {
  const std::string expected = run({"--prompt", "two words\n"}).out;
  EXPECT_EQ(run({"--prompt-file", folder_.write("p.txt", "two words\n")}).out, expected);
  EXPECT_EQ(run({"--prompt-file", "-"}, "two words\n").out, expected);
  EXPECT_EQ(run({"--prompt", "-"}, "two words\n").out, expected);
  EXPECT_EQ(run({}, "two words\n").out, expected);
  EXPECT_NE(run({}, "two words").out, expected);  // nothing is stripped
}

TEST_F(Run, FeedsBareIdsAsTheyAre) {
  const Outcome outcome = run({"--prompt-ids", "-", "--json"}, "926 5\n7");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["prompt_ids"], Json::parse("[926, 5, 7]"));  // no BOS is added
}

// A completion's first word keeps its space, so that prompt and reply read as one text.
TEST_F(Run, ACompletionReadsOnFromItsPrompt) {
  const Tokenizer tokenizer = Tokenizer::open(RW_SOURCE_DIR "/models/airophin-mini", {});
  size_t with_space = 0;
  for (const char* prompt : {"hi", "blue", "what", "one two", "Source:"}) {
    const Json raw = run({"--prompt", prompt, "--json"}).json();
    std::vector<int32_t> all = raw["prompt_ids"];
    const std::vector<int32_t> ids = raw["ids"];
    all.insert(all.end(), ids.begin(), ids.end());
    const std::string text = raw["text"];
    EXPECT_EQ(prompt + text, tokenizer.decode(all));
    with_space += text.starts_with(' ') ? 1 : 0;
    const std::string bare = raw["prompt_ids"].dump();
    std::string words = bare.substr(1, bare.size() - 2);
    std::ranges::replace(words, ',', ' ');
    EXPECT_EQ(run({"--prompt-ids", "-", "--json"}, words).json()["text"], text);
  }
  EXPECT_GT(with_space, 0u);  // or nothing was tested
}

TEST_F(Run, AReplyHasNoSpaceInFront) {
  const Tokenizer tokenizer = Tokenizer::open(RW_SOURCE_DIR "/models/airophin-mini", {});
  size_t with_space = 0;
  for (const char* seed : {"1", "2", "3", "4", "5", "6"}) {
    const Json answer =
        run({"--prompt", "hi", "--json", "--set", "prompt.format=vicuna-v1.1", "--set",
             "sampling=[temperature: 5]", "--set", std::string("generation.seed=") + seed})
            .json();
    const std::vector<int32_t> ids = answer["ids"];
    EXPECT_EQ(answer["text"], tokenizer.decode(ids));
    with_space += tokenizer.text_of(ids.front()).spaced ? 1 : 0;
  }
  EXPECT_GT(with_space, 0u);
}

TEST_F(Run, TheSameSeedGivesTheSameTokens) {
  const Arguments sampled = {"--prompt", "hi", "--json", "--set", "sampling=[temperature: 1.5]"};
  const auto with_seed = [&](const char* seed) {
    Arguments arguments = sampled;
    arguments.insert(arguments.end(), {"--set", std::string("generation.seed=") + seed});
    return run(arguments).json()["ids"];
  };
  EXPECT_EQ(with_seed("7"), with_seed("7"));
  EXPECT_NE(with_seed("7"), with_seed("8"));
}

// Rows that pad the vocabulary are no tokens, however likely the model thinks them.
TEST_F(Run, RowsWithoutAnIdAreNeverSampled) {
  write_small_model(folder_.path() / "model", {.padding = 64});
  for (const char* sampling : {"[]", "[temperature: 5]"}) {
    const Outcome outcome =
        run({"--prompt", "hi", "--json", "--set", std::string("sampling=") + sampling});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json answer = outcome.json();
    for (const Json& id : answer["ids"]) EXPECT_LT(id.get<int>(), 1024) << sampling;
  }
}

TEST_F(Run, MaxNewTokensIsAShorthand) {
  EXPECT_EQ(run({"--prompt", "hi", "--json", "--max-new-tokens", "3"}).json()["ids"].size(), 3);
  const Outcome none = run({"--prompt", "hi", "--max-new-tokens", "none"});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("generation.max_new_tokens"));
}

TEST_F(Run, StopsAtAStopString) {
  const std::string text = run({"--prompt", "hi", "--json"}).json()["text"];
  const std::string stop = text.substr(text.size() / 2, 2);
  const Json answer =
      run({"--prompt", "hi", "--json", "--set", "generation.stop=[" + Json(stop).dump() + "]"})
          .json();
  EXPECT_EQ(answer["finish"], "stop");
  EXPECT_EQ(answer["text"], text.substr(0, text.find(stop)));
}

TEST_F(Run, StatisticsAreForTerminalsAndVerbose) {
  const Outcome outcome = run({"--prompt", "hi", "--verbose"});
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("loaded in "), HasSubstr("tokens/s"), HasSubstr("GB/s"),
                                 HasSubstr("memory: weights")));
}

TEST_F(Run, NoPromptIsAUsageError) {
  const Outcome outcome = run({});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("error: standard input: it is empty"),
                                 HasSubstr("Use --prompt TEXT")));
}

TEST_F(Run, AnEmptyPromptIsBosAlone) {
  const Outcome outcome = run({"--prompt", "", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["prompt_ids"], Json::parse("[1]"));
}

TEST_F(Run, AnUnreadablePromptIsAUsageError) {
  const Outcome outcome = run({"--prompt-file", "/nowhere/p.txt"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, StartsWith("error: /nowhere/p.txt: could not be read"));
}

TEST_F(Run, APromptThatDoesNotFitNamesBothNumbers) {
  std::string ids;
  for (int i = 0; i < 256; ++i) ids += "5 ";
  const Outcome outcome = run({"--prompt-ids", "-"}, ids);
  EXPECT_EQ(outcome.code, 10);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(StartsWith("error: "), HasSubstr("256 tokens"),
                                 HasSubstr("the context holds 256")));
  EXPECT_EQ(run({"--prompt-ids", "-"}, "1 1024").code, 10);
}

TEST_F(Run, AReplyThatFillsTheContextSaysSo) {
  std::string ids;
  for (int i = 0; i < 250; ++i) ids += "5 ";
  const Outcome outcome = run({"--prompt-ids", "-", "--json"}, ids);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["ids"].size(), 6);
  EXPECT_EQ(outcome.json()["finish"], "length");
  EXPECT_THAT(outcome.err, HasSubstr("note: the context of 256 tokens is full"));
}

TEST_F(Run, EachPresetSamples) {
  for (const char* name : {"hf", "exllama", "exllamav2", "llamacpp", "ooba"}) {
    const std::string preset = std::string(RW_SOURCE_DIR "/configs/presets/") + name + ".yaml";
    const std::string config =
        folder_.write("preset.yaml", "extends: " + preset +
                                         "\nmodel: model\nbackend: cpu\n"
                                         "generation: {max_new_tokens: 3}\n");
    const Outcome outcome = run_program({"run", config, "--prompt", "hi", "--json"}, "");
    EXPECT_EQ(outcome.code, 0) << name << ": " << outcome.err;
  }
}

TEST_F(Run, AModelThatIsMissingIsAModelError) {
  const Outcome outcome = run({"--prompt", "hi", "--set", "model=/nowhere"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("/nowhere"));
}

TEST_F(Run, ACacheTypeThatDoesNotFitTheDeviceOrAFormatThatIsMissingIsSaid) {
  EXPECT_EQ(run({"--prompt", "hi", "--set", "prompt.format=vicunna"}).code, 4);
  EXPECT_EQ(run({"--prompt", "hi", "--set", "sampling=[temprature]"}).code, 4);
  EXPECT_EQ(run({"--prompt", "hi", "--set", "sampling=[temperature: -1]"}).code, 2);
  EXPECT_EQ(run({"--prompt", "hi", "--set", "sampling=[temperature: .nan]"}).code, 2);
  EXPECT_EQ(run({"--prompt", "hi", "--set", "sampling=[top-p: 1.5]"}).code, 2);
}

// 16 Mi tokens of 32 layers of 512: keys and values of 2 TiB.
TEST_F(Run, AContextTooLargeForTheMachineIsOutOfMemory) {
  write_small_model(folder_.path() / "model", {.layers = 32, .hidden = 512, .context = 256});
  const Outcome outcome =
      run({"--prompt", "hi", "--set", "context.length=16777216", "--set", "context.kv_cache=f32"});
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("does not fit"), HasSubstr("context.length")));
}

}  // namespace
}  // namespace ropewalk::test
