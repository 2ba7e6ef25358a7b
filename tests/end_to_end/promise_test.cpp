// The promise: on the CPU, and elsewhere with the option batch-invariant, a reply has the same ids,
// text and log-probabilities, to the bit, from generate() and from the scheduler, alone, among
// others, after a preemption and with a prefix that was found in the cache; and the
// log-probabilities are those of `ropewalk score`.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/generate/generate.h"
#include "core/schedule/scheduler.h"
#include "tests/end_to_end/fixture_model.h"

namespace ropewalk::test {
namespace {

// What promises it, and how many requests ask for it; 0: only where ROPEWALK_PROMISE_REQUESTS does.
struct Promising {
  const char *name, *backend;
  uint32_t among_others, with_adapters, preempted;
};
constexpr Promising kPromising[] = {
    {"cpu", "backend=cpu", 32, 16, 12},
#ifdef RW_HAS_VULKAN
    {"vulkan", "backend={name: vulkan, device: 0, pipeline-cache: false, batch-invariant: true}", 4,
     0, 0},
#endif
};
void PrintTo(const Promising& promising, std::ostream* out) { *out << promising.name; }

// scripts/test-server.sh --long asks 200.
uint32_t request_count(uint32_t usual) {
  const char* count = std::getenv("ROPEWALK_PROMISE_REQUESTS");
  return count ? static_cast<uint32_t>(std::stoul(count)) : usual;
}
constexpr uint32_t kAtATime = 8;

struct Said {
  std::vector<int32_t> ids;
  std::string text;
  std::vector<double> logprobs;
  bool operator==(const Said&) const = default;
};

struct Heard {
  Said said;
  Ending end;
};

class Promise : public testing::TestWithParam<Promising> {
 protected:
  // `cache_tokens` of all replies; 0: as many as they can have.
  static RuntimeSettings settings(uint32_t cache_tokens, std::vector<std::string> more = {}) {
    RuntimeSettings settings;
    // Hot, so that two sequences of random numbers have every chance to differ; without the end
    // token, so that replies are long.
    more.insert(more.begin(),
                {"sampling=[{ban-tokens: {ids: [2]}}, {temperature: 2.0}]", GetParam().backend});
    settings.config = load_config({RW_SOURCE_DIR "/configs/airophin-mini.yaml", more});
    settings.max_sequences = settings.max_wanted = kAtATime;
    settings.cache_pages = abi::pages_for(cache_tokens, abi::kDefaultPageTokens);
    return settings;
  }

  static void skip_without(uint32_t usual) {
    if (request_count(usual) == 0) GTEST_SKIP() << "in scripts/test-server.sh --long";
  }

  // Of 3 to 400 tokens, most of which begin alike: long ones share a page.
  static std::vector<Request> requests(const Engine& engine, uint32_t usual) {
    std::string text = "USER: Who are you, and what are ropes made of? ASSISTANT: A rope is laid. ";
    while (text.size() < 4000) text += text;
    const std::vector<int32_t> ids = engine.tokenizer().encode_text(text, SpecialTokens::as_text);
    std::vector<Request> requests;
    for (uint32_t i = 0; i < request_count(usual); ++i) {
      Request request;
      const size_t length = 3 + (i * 131) % 400;
      request.prompt_ids.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(length));
      if (i % 4 == 0) request.prompt_ids[0] = engine.tokenizer().bos_id();
      request.sampling = engine.config().sampling;
      request.seed = i;
      request.max_new_tokens = 8 + i % 5 * 20;
      request.logprobs = LogprobsWanted{};
      requests.push_back(std::move(request));
    }
    return requests;
  }

  // What the command line says, and what `ropewalk score` says of it.
  static Said alone(Engine& engine, const Request& request) {
    Runtime& runtime = engine.runtime();
    CachedText text(runtime.cache(), runtime.rope_tables());
    const Reply reply = generate(engine, text, request, {});
    std::vector<int32_t> ids = request.prompt_ids;
    ids.insert(ids.end(), reply.ids.begin(), reply.ids.end());
    text.truncate(0);  // score() needs the pages
    runtime.cache().set_default_adapter(text.sequence().adapter());
    std::vector<double> logprobs = score(runtime, ids, nullptr).logprobs;
    runtime.cache().set_default_adapter(abi::kNoAdapter);
    logprobs.erase(logprobs.begin(),
                   logprobs.end() - static_cast<std::ptrdiff_t>(reply.ids.size()));
    return {reply.ids, reply.text, logprobs};
  }

  static Heard hear(Ticket& ticket) {
    Heard heard;
    for (bool ended = false; !ended;) {
      const Update update = ticket.wait();
      heard.said.text += update.text;
      for (const NewToken& token : update.tokens) {
        heard.said.ids.push_back(token.token.id);
        heard.said.logprobs.push_back(token.token.logprob.value());
      }
      ended = update.end.has_value();
      if (ended) heard.end = *update.end;
    }
    return heard;
  }

  static std::vector<Heard> together(Scheduler& scheduler, std::span<const Request> requests) {
    const Submitted submitted = scheduler.submit(requests, {});
    std::vector<Heard> heard;
    for (const auto& ticket : submitted.tickets) heard.push_back(hear(*ticket));
    return heard;
  }
};

TEST_P(Promise, AReplyDoesNotDependOnWhoElseIsServed) {
  Engine engine(settings(0), TextNeed::required);
  EXPECT_EQ(engine.runtime().device().batch_dependence(), "");  // what the backend declares
  const std::vector<Request> asked = requests(engine, GetParam().among_others);
  std::vector<Said> want;
  for (const Request& request : asked) want.push_back(alone(engine, request));

  Scheduler scheduler(serve_engine(engine), {});
  scheduler.start();
  for (size_t i = 0; i < asked.size(); ++i)
    EXPECT_EQ(together(scheduler, {&asked[i], 1})[0].said, want[i]) << "alone, request " << i;
  const std::vector<Heard> first = together(scheduler, asked);
  const std::vector<Heard> second = together(scheduler, asked);
  uint32_t cached = 0;
  ASSERT_EQ(first.size(), asked.size());
  ASSERT_EQ(second.size(), asked.size());
  for (size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(first[i].said, want[i]) << "among others, request " << i;
    EXPECT_EQ(second[i].said, want[i]) << "after a prefix hit, request " << i;
    cached += second[i].end.cached_tokens;
  }
  EXPECT_GT(cached, asked.size() * 40);
}

// Three adapters and none, of which a step has room for two; prompts that begin alike under
// different adapters share no page.
TEST_P(Promise, AReplyDoesNotDependOnTheAdaptersOfOthers) {
  skip_without(GetParam().with_adapters);
  if (IsSkipped()) return;
  const std::string folder = RW_FIXTURES "/adapters/";
  Engine engine(
      settings(1536, {"adapters.lora=" + folder + "lora",
                      "adapters.patterns={scale: 20, path: " + folder + "rslora-patterns}",
                      "adapters.less={scale: 0.5, path: " + folder + "lora}", "adapter_slots=2"}),
      TextNeed::required);
  std::vector<Request> asked = requests(engine, GetParam().with_adapters);
  std::vector<Said> want;
  for (uint32_t i = 0; i < asked.size(); ++i) {
    asked[i].adapter = i % 4 == 3 ? abi::kNoAdapter : i % 4;
    want.push_back(alone(engine, asked[i]));
  }
  Scheduler scheduler(serve_engine(engine), {});
  scheduler.start();
  uint32_t cached = 0;
  for (const char* round : {"first", "after prefix hits"}) {
    const std::vector<Heard> heard = together(scheduler, asked);
    ASSERT_EQ(heard.size(), asked.size());
    for (size_t i = 0; i < asked.size(); ++i) {
      EXPECT_EQ(heard[i].said, want[i]) << round << ", request " << i;
      cached += heard[i].end.cached_tokens;
    }
  }
  EXPECT_GT(cached, 0u);
}

TEST_P(Promise, AReplyDoesNotDependOnPreemptions) {
  skip_without(GetParam().preempted);
  if (IsSkipped()) return;
  Engine engine(settings(768), TextNeed::required);
  std::vector<Request> asked = requests(engine, GetParam().preempted);
  // The cache does not hold two of the longer ones at a time.
  for (Request& request : asked) request.max_new_tokens = 300;
  std::vector<Said> want;
  for (const Request& request : asked) want.push_back(alone(engine, request));

  for (const PrefixCaching prefixes : {PrefixCaching::on, PrefixCaching::off}) {
    Scheduler scheduler(serve_engine(engine), {.prefixes = prefixes});
    scheduler.start();
    const std::vector<Heard> heard = together(scheduler, asked);
    ASSERT_EQ(heard.size(), asked.size());
    uint32_t preempted_replies = 0;
    for (size_t i = 0; i < asked.size(); ++i) {
      EXPECT_EQ(heard[i].said, want[i]) << "request " << i;
      preempted_replies += heard[i].end.preemptions > 0;
    }
    EXPECT_GT(preempted_replies, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Promise, testing::ValuesIn(kPromising),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace ropewalk::test
