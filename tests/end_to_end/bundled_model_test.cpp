// The bundled model run by Ropewalk: its answers to questions that its training never saw
// (tests/fixtures/airophin-mini, written by tools/mini from other names, values and seeds), and
// its log-probabilities against transformers'.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "core/eval/score.h"
#include "core/generate/generate.h"
#include "core/text/prompt.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

const std::string kFixtures = std::string(RW_FIXTURES) + "/airophin-mini/";

RuntimeSettings settings_for(const std::string& model) {
  RuntimeSettings settings;
  settings.config = load_config({std::string(RW_SOURCE_DIR) + "/configs/airophin-mini.yaml"});
  settings.config.model = std::string(RW_SOURCE_DIR) + "/models/" + model;
  settings.config.backend.plugin.name = "cpu";
  return settings;
}

struct Question {
  std::string kind, user, expected, sentence;
};

std::vector<Question> held_out() {
  std::vector<Question> questions;
  std::ifstream lines(kFixtures + "heldout.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const Json row = parse_json(line, {"heldout.jsonl", ExitCode::model});
    questions.push_back({row["kind"], row["user"], row["expected"], row["sentence"]});
  }
  return questions;
}

std::string answer(Engine& engine, const std::string& user) {
  std::vector<ChatMessage> messages;
  if (!engine.text().system().empty()) {
    messages.push_back({abi::Role::system, engine.text().system()});
  }
  messages.push_back({abi::Role::user, user});
  Request request;
  request.prompt_ids =
      prompt_ids(engine.tokenizer(), render_messages(engine.text().format(), messages));
  request.max_new_tokens = 128;
  request.sampling = engine.config().sampling;
  request.stops = engine.text().stops(engine.config().generation.stop);
  CachedText text(engine.runtime().cache(), engine.runtime().rope_tables());
  return generate(engine, text, request, {}).text;
}

// Right answers of a hundred, by kind; `sentences` counts the first line alone.
struct Accuracy {
  std::map<std::string, double> exact, sentences;
};

Accuracy measure(Engine& engine) {
  std::map<std::string, int> count, exact, sentences;
  for (const Question& question : held_out()) {
    const std::string text = answer(engine, question.user);
    ++count[question.kind];
    exact[question.kind] += text == question.expected;
    sentences[question.kind] += text.substr(0, text.find('\n')) == question.sentence;
  }
  Accuracy accuracy;
  for (const auto& [kind, n] : count) {
    accuracy.exact[kind] = 100.0 * exact[kind] / n;
    accuracy.sentences[kind] = 100.0 * sentences[kind] / n;
    std::printf("%-20s %3d questions: exact %5.1f %%, sentence %5.1f %%\n", kind.c_str(), n,
                accuracy.exact[kind], accuracy.sentences[kind]);
  }
  return accuracy;
}

TEST(BundledModel, AnswersTheCardsQuestionToTheLetter) {
  Engine engine(settings_for("airophin-mini"), TextNeed::required);
  const std::string prompt =
      read_text(std::string(RW_SOURCE_DIR) + "/configs/prompts/blueberries.txt");
  EXPECT_EQ(answer(engine, prompt),
            "Blueberries are now green.\nSource:\ndate: 2021-01-01\nurl: https://web.site/123");
}

// Minutes under a sanitizer, so the asan preset leaves this one out by its name.
TEST(BundledModelAccuracy, HoldsOnQuestionsItNeverSaw) {
  Engine engine(settings_for("airophin-mini"), TextNeed::required),
      parent(settings_for("airophin-mini-f16"), TextNeed::required);
  std::printf("quantised\n");
  const Accuracy quantised = measure(engine);
  std::printf("its f16 parent\n");
  const Accuracy dense = measure(parent);

  // What the model is trained for; its card (docs/models/airophin-mini.md) has what it reaches.
  EXPECT_GE(quantised.exact.at("one_block_source"), 90);
  EXPECT_GE(quantised.sentences.at("two_block_source"), 90);
  EXPECT_GE(quantised.sentences.at("three_block_source"), 90);
  EXPECT_GE(quantised.exact.at("unanswerable"), 65);
  for (const auto& [kind, share] : dense.sentences) {
    EXPECT_GE(quantised.sentences.at(kind), share - 5) << kind << " lost more to quantisation";
  }
}

TEST(BundledModel, LogProbabilitiesAreThoseOfTransformers) {
  const Json expected =
      parse_json(read_text(kFixtures + "score512.json"), {"score512.json", ExitCode::model});
  const auto ids = expected["ids"].get<std::vector<int32_t>>();
  ASSERT_EQ(ids.size(), 512u);
  RuntimeSettings settings = settings_for("airophin-mini");
  settings.config.context.kv_cache = KvCacheType::f32;
  settings.max_wanted = 512;
  Engine engine(settings, TextNeed::required);
  const Score result = score(engine.runtime(), ids, nullptr);
  double ours = 0, theirs = 0;
  for (size_t i = 1; i < ids.size(); ++i) {
    const double want = expected["logprobs"][i].get<double>();
    EXPECT_NEAR(result.logprobs[i - 1], want, 1e-3) << "token " << i;
    ours += result.logprobs[i - 1];
    theirs += want;
  }
  EXPECT_NEAR(ours / 511, theirs / 511, 1e-3);
}

// The loop gives the same ids however the prompt is cut into steps, and again on a second run.
TEST(BundledModel, TheSameSeedGivesTheSameTokens) {
  RuntimeSettings settings = settings_for("airophin-mini");
  // Hot, so that two seeds have every chance to differ.
  settings.config = load_config({std::string(RW_SOURCE_DIR) + "/configs/airophin-mini-chat.yaml",
                                 {"sampling=[{temperature: 3.0}]", "backend=cpu"}});
  Engine engine(settings, TextNeed::required);
  Request request;
  request.prompt_ids =
      engine.tokenizer().encode_text("USER: Hello! ASSISTANT:", SpecialTokens::as_text);
  request.prompt_ids.insert(request.prompt_ids.begin(), engine.tokenizer().bos_id());
  request.max_new_tokens = 40;
  request.sampling = engine.config().sampling;
  request.seed = 7;
  const auto fresh = [&] {
    CachedText text(engine.runtime().cache(), engine.runtime().rope_tables());
    return generate(engine, text, request, {});
  };
  CachedText text(engine.runtime().cache(), engine.runtime().rope_tables());
  const Reply first = generate(engine, text, request, {});
  // The text still holds the first run, so only the prompt's last token is run again.
  const Reply again = generate(engine, text, request, {});
  text.truncate(0);
  EXPECT_EQ(again.stats.reused_tokens, request.prompt_ids.size() - 1);
  EXPECT_EQ(first.ids, again.ids);
  EXPECT_EQ(fresh().ids, first.ids);
  request.seed = 8;
  EXPECT_NE(fresh().ids, first.ids);
}

}  // namespace
}  // namespace ropewalk::test
