// Requests that share steps reply as they do alone: the state machine that generate() and a
// scheduler drive, on the bundled model.
#include "core/generate/running.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/generate/generate.h"
#include "core/generate/logits_hash.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

struct EngineRig {
  EngineRig() : engine(settings(), TextNeed::required) {}

  static RuntimeSettings settings() {
    RuntimeSettings settings;
    // Hot, so that two sequences of random numbers have every chance to differ.
    settings.config = load_config({std::string(RW_SOURCE_DIR) + "/configs/airophin-mini.yaml",
                                   {"sampling=[{temperature: 2.0}]", "backend=cpu"}});
    settings.max_sequences = settings.max_wanted = 4;
    return settings;
  }

  Request request(const std::string& prompt, uint64_t seed) const {
    Request request;
    request.prompt_ids = engine.tokenizer().encode_text(prompt, SpecialTokens::as_text);
    request.prompt_ids.insert(request.prompt_ids.begin(), engine.tokenizer().bos_id());
    request.sampling = engine.config().sampling;
    request.seed = seed;
    request.max_new_tokens = 24;
    return request;
  }

  CachedText text() { return {engine.runtime().cache(), engine.runtime().rope_tables()}; }

  Reply alone(const Request& request) {
    CachedText own = text();
    return generate(engine, own, request, {});
  }

  Engine engine;
};

// One request with its own text, as a scheduler holds it.
struct Slot {
  Slot(EngineRig& rig, const Request& request)
      : text(rig.text()),
        running(vocabulary_of(rig.engine), text, request,
                rig.engine.make_chain(request.sampling, request.seed)) {}

  bool finished() { return running.state() == Running::State::finished; }

  CachedText text;
  Running running;
  std::string told;
};

TEST(Running, RequestsThatShareStepsReplyAsTheyDoAlone) {
  EngineRig rig;
  const std::vector<Request> requests = {
      rig.request("USER: Who are you? ASSISTANT:", 1), rig.request("Rope", 2),
      rig.request("USER: What are ropes made of, and who made the first one? ASSISTANT:", 3)};
  std::vector<Reply> want;
  for (const Request& request : requests) want.push_back(rig.alone(request));

  // Each joins three steps after the one before, so that prompts and replies meet; prompts go in
  // by pieces of seven tokens.
  std::vector<std::unique_ptr<Slot>> slots;
  for (size_t step = 0; step < 100; ++step) {
    if (step % 3 == 0 && slots.size() < requests.size())
      slots.push_back(std::make_unique<Slot>(rig, requests[slots.size()]));
    std::vector<Chunk> chunks;
    std::vector<Slot*> owners;
    for (const auto& slot : slots) {
      if (slot->finished()) continue;
      chunks.push_back(slot->running.next(7));
      owners.push_back(slot.get());
    }
    if (chunks.empty()) break;
    const std::span<const ChunkResult> results = rig.engine.runtime().executor().run(chunks);
    for (size_t i = 0; i < chunks.size(); ++i)
      owners[i]->told += owners[i]->running.take(results[i]).text;
  }
  ASSERT_EQ(slots.size(), requests.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    EXPECT_TRUE(slots[i]->finished());
    EXPECT_EQ(slots[i]->running.reply().ids, want[i].ids) << "request " << i;
    EXPECT_EQ(slots[i]->running.reply().text, want[i].text) << "request " << i;
    EXPECT_EQ(slots[i]->told, want[i].text) << "request " << i;
  }
}

TEST(Running, ACancelledReplyKeepsWhatWasSaid) {
  EngineRig rig;
  Request request = rig.request("USER: Who are you? ASSISTANT:", 1);
  const Reply whole = rig.alone(request);
  ASSERT_GT(whole.ids.size(), 3u);
  // Everything from the first character on may become this, so all of it is held back.
  request.stops = {whole.text + "!"};

  Slot slot(rig, request);
  Executor& executor = rig.engine.runtime().executor();
  EXPECT_EQ(slot.running.state(), Running::State::prompt);
  for (size_t i = 0; i < 3; ++i) {
    const Chunk chunk = slot.running.next(executor.max_rows());
    slot.told += slot.running.take(executor.run({&chunk, 1}).front()).text;
  }
  EXPECT_EQ(slot.running.state(), Running::State::replying);
  EXPECT_EQ(slot.told, "");
  slot.told += slot.running.end(Finish::cancelled);
  EXPECT_TRUE(slot.finished());
  const Reply& reply = slot.running.reply();
  EXPECT_EQ(reply.finish, Finish::cancelled);
  EXPECT_EQ(reply.ids, std::vector(whole.ids.begin(), whole.ids.begin() + 3));
  EXPECT_EQ(slot.told, reply.text);
  EXPECT_TRUE(whole.text.starts_with(reply.text));
}

// Where something else than the largest logit matters, all are wanted.
TEST(Running, GreedyDecodingWantsOnlyTheLargestLogit) {
  EngineRig rig;
  Request request = rig.request("Rope", 1);
  const auto wanted = [&] { return Slot(rig, request).running.next(512); };
  EXPECT_EQ(wanted().wanted, Wanted::last);
  request.sampling = {};
  const Chunk chunk = wanted();
  EXPECT_EQ(chunk.wanted, Wanted::largest);
  EXPECT_EQ(chunk.allowed.end, rig.engine.sampled_vocab());
  EXPECT_EQ(Slot(rig, request).running.next(1).wanted, Wanted::none);
  request.logprobs.emplace();
  EXPECT_EQ(wanted().wanted, Wanted::last);
  request.logprobs->prompt = true;
  EXPECT_EQ(wanted().wanted, Wanted::all);
}

// Fixed ids that are never taken change nothing but which ids may be the largest.
TEST(Running, GreedyDecodingWithBansWantsOnlyTheLargestLogit) {
  EngineRig rig;
  Request request = rig.request("Rope", 1);
  const auto of = [&](const std::string& sampling) {
    request.sampling = load_config({std::string(RW_SOURCE_DIR) + "/configs/airophin-mini.yaml",
                                    {"sampling=" + sampling, "backend=cpu"}})
                           .sampling;
    Slot slot(rig, request);
    const Chunk chunk = slot.running.next(512);
    std::vector<int32_t> banned(chunk.allowed.banned.begin(), chunk.allowed.banned.end());
    return std::pair(chunk.wanted, banned);
  };
  const int32_t eos = rig.engine.tokenizer().eos_id();
  const std::vector<int32_t> none;
  EXPECT_EQ(of("[greedy]"), std::pair(Wanted::largest, none));
  EXPECT_EQ(of("[{ban-tokens: {end: true, ids: [5, 7]}}, greedy]"),
            std::pair(Wanted::largest, std::vector{eos, 5, 7}));
  EXPECT_EQ(of("[{ban-tokens: {ids: [5], end: false}}, {ban-tokens: {ids: [9]}}, greedy]"),
            std::pair(Wanted::largest, std::vector{5, 9}));
  for (const char* other :
       {"[{ban-tokens: {end: true}}]", "[{ban-tokens: {texts: [rope]}}, greedy]",
        "[{temperature: 2.0}, greedy]", "[greedy, {ban-tokens: {end: true}}]"})
    EXPECT_EQ(of(other), std::pair(Wanted::last, none)) << other;
}

TEST(Running, TheLargestLogitIsTheNextToken) {
  EngineRig rig;
  Request request = rig.request("USER: Who are you? ASSISTANT:", 1);
  request.sampling = {};
  const Reply want = rig.alone(request);
  ASSERT_GT(want.ids.size(), 3u);
  Slot slot(rig, request);
  for (size_t i = 0; i < want.ids.size(); ++i) {
    Chunk chunk = slot.running.next(512);
    ChunkResult result = rig.engine.runtime().executor().run({&chunk, 1}).front();
    ASSERT_TRUE(result.error == std::nullopt && !result.logits.empty());
    slot.told += slot.running.take({.largest = want.ids[i]}).text;
  }
  EXPECT_EQ(slot.running.state(), Running::State::finished);
  EXPECT_EQ(slot.running.reply().ids, want.ids);
  EXPECT_EQ(slot.told, want.text);
}

TEST(Running, NoNewTokensIsAFinishedReply) {
  EngineRig rig;
  Request request = rig.request("Rope", 1);
  request.max_new_tokens = 0;
  Slot slot(rig, request);
  EXPECT_TRUE(slot.finished());
  EXPECT_EQ(slot.running.reply().finish, Finish::length);
}

TEST(Running, APromptThatFillsTheContextIsALimit) {
  EngineRig rig;
  Request request = rig.request("Rope", 1);
  request.prompt_ids.resize(rig.engine.runtime().context_length(), 5);
  try {
    Slot slot(rig, request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::limit);
    EXPECT_THAT(error.what(), HasSubstr("the reply needs at least one"));
  }
}

// Greedy decoding takes the greatest of the logits that it is shown.
TEST(Generate, ShowsTheLogitsOfEveryTokenThatIsSampled) {
  EngineRig rig;
  Request request = rig.request("USER: Who are you? ASSISTANT:", 1);
  request.sampling = {};
  std::vector<int32_t> greatest;
  GenerateEvents events;
  events.on_logits = [&](std::span<const float> logits) {
    EXPECT_EQ(logits.size(), rig.engine.runtime().executor().vocab_size());
    const auto best = std::ranges::max_element(logits.first(rig.engine.sampled_vocab()));
    greatest.push_back(static_cast<int32_t>(best - logits.begin()));
  };
  CachedText text = rig.text();
  EXPECT_EQ(generate(rig.engine, text, request, events).ids, greatest);
}

// The first is FNV-1a of one zero byte, as published; the others were computed apart from ours.
TEST(LogitsHash, IsFnv1aOverTheBitsOfTheLogits) {
  const auto hash_of = [](std::vector<float> logits) {
    LogitsHash hash;
    hash.add(logits);
    return hash.value();
  };
  EXPECT_EQ(hash_of({0.0f}), 0xaf63bd4c8601b7dfu);
  EXPECT_EQ(hash_of({-0.0f}), 0xaf63bc730601b7dfu);
  EXPECT_EQ(hash_of({1.0f, -2.5f}), 0x283327010ecb6fedu);
  EXPECT_EQ(hash_of({-2.5f, 1.0f}), 0xc831cf18494b6fedu);
}

}  // namespace
}  // namespace ropewalk::test
