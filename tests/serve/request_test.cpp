// Bodies of completions and chat completions: what is read, refused, clipped and told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/files.h"
#include "tests/serve/mini_model.h"

namespace ropewalk::test {
namespace {

using namespace serve;
using testing::ElementsAre;
using testing::HasSubstr;

std::string refused_completion(const std::string& body) {
  return refusal_of([&] { mini().completion(body); });
}
std::string refused_chat(const std::string& body) {
  return refusal_of([&] { mini().chat(body); });
}

TEST(CompletionRequest, TakesPromptsInAllForms) {
  EXPECT_THAT(mini().completion(R"({"prompt":"hi"})").prompts[0].ids, ElementsAre(1, 926));
  EXPECT_THAT(mini().completion(R"({"prompt":[926,5]})").prompts[0].ids, ElementsAre(926, 5));
  EXPECT_THAT(mini().completion(R"({"prompt":"hi","add_bos_token":false})").prompts[0].ids,
              ElementsAre(926));
  const Ask two = mini().completion(R"({"prompt":[[926],[5,7.0]],"n":2})");
  ASSERT_EQ(two.prompts.size(), 2u);
  EXPECT_THAT(two.prompts[1].ids, ElementsAre(5, 7));
  EXPECT_EQ(two.replies(), 4u);
  EXPECT_EQ(mini().completion(R"({"prompt":["hi","blue"]})").prompts.size(), 2u);
  // A user who types </s> has typed four characters, unless the request says otherwise.
  EXPECT_GT(mini().completion(R"({"prompt":"</s>"})").prompts[0].ids.size(), 2u);
  EXPECT_THAT(mini().completion(R"({"prompt":"</s>","parse_special":true})").prompts[0].ids,
              ElementsAre(1, 2));
}

// langchain sends null for what it does not set.
TEST(CompletionRequest, NullIsAbsent) {
  const Ask ask = mini().completion(
      R"({"prompt":"hi","logprobs":null,"seed":null,"stop":null,"n":null,"stream_options":null})");
  EXPECT_FALSE(ask.logprobs);
  EXPECT_TRUE(ask.told.ignored.empty());
}

TEST(CompletionRequest, GivesEachChoiceItsSeed) {
  const Ask ask =
      mini().completion(R"({"prompt":["hi","blue"],"n":2,"seed":18446744073709551615})");
  EXPECT_EQ(ask.reply_request(0).seed, 18446744073709551615u);
  EXPECT_EQ(ask.reply_request(1).seed, 0u);
  EXPECT_EQ(ask.reply_request(2).seed, 18446744073709551615u);
  EXPECT_EQ(ask.reply_request(3).prompt_ids, ask.prompts[1].ids);
  const Ask one = mini().completion(R"({"prompt":"hi"})"),
            other = mini().completion(R"({"prompt":"hi"})");
  EXPECT_NE(one.request.seed, other.request.seed);
  EXPECT_LT(one.request.seed, uint64_t{1} << 53);  // exact in every client's JSON
  EXPECT_EQ(
      MiniModel({"generation.seed=9"}).completion(R"({"prompt":"hi","seed":-1})").request.seed, 9u);
}

TEST(CompletionRequest, KnowsHowLongAReplyMayBe) {
  EXPECT_EQ(mini().completion(R"({"prompt":"hi"})").prompts[0].max_new_tokens, 16u);  // OpenAI's
  const MiniModel set({"generation.max_new_tokens=5"});
  EXPECT_EQ(set.completion(R"({"prompt":"hi"})").prompts[0].max_new_tokens, 5u);
  EXPECT_EQ(mini().completion(R"({"prompt":"hi","n_predict":3})").prompts[0].max_new_tokens, 3u);
  const Ask clipped = mini().completion(R"({"prompt":"hi","max_tokens":900})");
  EXPECT_EQ(clipped.prompts[0].max_new_tokens, 62u);
  EXPECT_THAT(clipped.told.clipped, ElementsAre("max_tokens: 900 became 62"));
  EXPECT_EQ(mini().completion(R"({"prompt":"hi","max_tokens":0})").prompts[0].max_new_tokens, 0u);
}

TEST(CompletionRequest, ALongPromptIsRefusedWithBothNumbers) {
  const std::string body = R"({"prompt":)" + Json(std::vector<int>(64, 5)).dump() + "}";
  try {
    mini().completion(body);
    FAIL();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.code(), "context_length_exceeded");
    EXPECT_THAT(error.what(), HasSubstr("maximum context length is 64 tokens"));
    EXPECT_EQ(error.json()["error"]["n_prompt_tokens"], 64);
    EXPECT_EQ(error.json()["error"]["n_ctx"], 64);
  }
  const Ask cut = mini().completion(R"({"prompt":[1,2,3,4],"truncate_prompt_tokens":2})");
  EXPECT_THAT(cut.prompts[0].ids, ElementsAre(3, 4));
  EXPECT_THAT(cut.told.clipped, ElementsAre("prompt: 4 tokens became 2"));
}

TEST(CompletionRequest, ReadsLogprobsEchoAndBestOf) {
  const Ask ask = mini().completion(R"({"prompt":"hi","logprobs":5,"echo":true})");
  ASSERT_TRUE(ask.request.logprobs);
  EXPECT_EQ(ask.request.logprobs->top, 5u);
  EXPECT_TRUE(ask.request.logprobs->prompt);
  EXPECT_EQ(mini().completion(R"({"prompt":"hi","logprobs":true})").logprobs, 1u);
  EXPECT_EQ(mini().completion(R"({"prompt":"hi","logprobs":0})").logprobs, 0u);
  EXPECT_FALSE(mini().completion(R"({"prompt":"hi","logprobs":false})").logprobs);
  const Ask best = mini().completion(R"({"prompt":"hi","best_of":3})");
  EXPECT_EQ(best.replies(), 3u);
  EXPECT_TRUE(best.request.logprobs);  // to choose by
  EXPECT_FALSE(best.logprobs);
}

TEST(CompletionRequest, RefusesByCodeAndName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "400 missing_parameter prompt"},
      {R"([])", "400 invalid_type the body"},
      {R"({"prompt":5})", "400 invalid_type prompt"},
      {R"({"prompt":[]})", "400 invalid_value prompt"},
      {R"({"prompt":[1,"a"]})", "400 invalid_type prompt"},
      {R"({"prompt":[-1]})", "400 token_out_of_range prompt"},
      {R"({"prompt":[99999999]})", "400 token_out_of_range prompt"},
      {R"({"prompt":"hi","max_tokens":"5"})", "400 invalid_type max_tokens"},
      {R"({"prompt":"hi","max_tokens":-1})", "400 invalid_value max_tokens"},
      {R"({"prompt":"hi","max_tokens":1.5})", "400 invalid_type max_tokens"},
      {R"({"prompt":"hi","n":0})", "400 invalid_value n"},
      {R"({"prompt":"hi","n":17})", "400 invalid_value n"},
      {R"({"prompt":"hi","n":3,"best_of":2})", "400 invalid_value best_of"},
      {R"({"prompt":"hi","best_of":2,"stream":true})", "400 invalid_value best_of"},
      {R"({"prompt":[[1],[1],[1],[1],[1],[1],[1],[1],[1]],"n":15})", "400 too_many_choices n"},
      {R"({"prompt":"hi","logprobs":21})", "400 invalid_value logprobs"},
      {R"({"prompt":"hi","seed":1.5})", "400 invalid_type seed"},
      {R"({"prompt":"hi","stop":[""]})", "400 invalid_value stop"},
      {R"({"prompt":"hi","stop":[1]})", "400 invalid_type stop"},
      {R"({"prompt":"hi","stream":"yes"})", "400 invalid_type stream"},
      {R"({"prompt":"hi","model":"gpt-4"})", "404 model_not_found model"},
      {R"({"prompt":"hi","suffix":"x"})", "400 unsupported_parameter suffix"},
      {R"({"prompt":"hi","response_format":{"type":"json_object"}})",
       "400 unsupported_parameter response_format"},
      {R"({"prompt":"hi","guided_json":{"a":1}})", "400 unsupported_parameter guided_json"},
      {R"({"prompt":"hi","grammar":"root ::= a"})", "400 unsupported_parameter grammar"},
      {R"({"prompt":"hi","ropewalk":{"sampler":1}})", "400 unknown_parameter ropewalk.sampler"},
      {R"({"prompt":"hi","ropewalk":{"strict":true},"foo":1})", "400 unknown_parameter foo"},
      {R"({"prompt":"hi","ropewalk":{"deadline_ms":0}})", "400 invalid_value ropewalk.deadline_ms"},
  };
  for (const auto& [body, expected] : cases) EXPECT_EQ(refused_completion(body), expected) << body;
}

TEST(CompletionRequest, TakesAsMuchAsTheLimitsSayAndNoMore) {
  const auto with = [](size_t prompts, int n, size_t stops) {
    const Json body = {{"prompt", std::vector<std::vector<int>>(prompts, {5})},
                       {"n", n},
                       {"stop", std::vector<std::string>(stops, "x")}};
    return refused_completion(body.dump());
  };
  EXPECT_EQ(with(64, 2, 64), "taken");
  EXPECT_EQ(with(65, 1, 1), "400 invalid_value prompt");
  EXPECT_EQ(with(43, 3, 1), "400 too_many_choices n");  // 129
  EXPECT_EQ(with(1, 1, 65), "400 invalid_value stop");
}

TEST(CompletionRequest, AnAdapterIsAskedForByNameOrField) {
  const MiniModel served(
      {"adapters={airo: /a, story: /s}", "adapter=story", "serve.aliases=[gpt-4]"});
  const auto asked = [&](const std::string& fields) {
    return served.completion(R"({"prompt":"hi")" + fields + "}");
  };
  EXPECT_EQ(asked("").request.adapter, std::nullopt);
  EXPECT_EQ(asked(R"(,"model":"airophin-mini")").request.adapter, std::nullopt);
  EXPECT_EQ(asked(R"(,"model":"airophin-mini:airo")").request.adapter, 0u);
  EXPECT_EQ(asked(R"(,"model":"airophin-mini:airo")").model, "airophin-mini:airo");
  EXPECT_EQ(asked(R"(,"model":"gpt-4:story")").request.adapter, 1u);
  EXPECT_EQ(asked(R"(,"model":"airophin-mini:none")").request.adapter, abi::kNoAdapter);
  EXPECT_EQ(asked(R"(,"adapter":"airo")").request.adapter, 0u);
  EXPECT_EQ(asked(R"(,"adapter":"airo","model":"gpt-4:airo")").request.adapter, 0u);
  const auto refused = [&](const std::string& fields) {
    return refusal_of([&] { asked(fields); });
  };
  EXPECT_EQ(refused(R"(,"model":"airophin-mini:other")"), "404 model_not_found model");
  EXPECT_EQ(refused(R"(,"model":"gpt-5:airo")"), "404 model_not_found model");
  EXPECT_EQ(refused(R"(,"adapter":"other")"), "400 adapter_not_found adapter");
  EXPECT_EQ(refused(R"(,"adapter":"story","model":"gpt-4:airo")"), "400 invalid_value adapter");
  EXPECT_EQ(refused(R"(,"adapter":7)"), "400 invalid_type adapter");
}

// SillyTavern sends more than sixty fields, nearly all of them neutral.
TEST(CompletionRequest, NeutralFieldsAreSilentOthersAreTold) {
  const Ask neutral = mini().completion(
      R"({"prompt":"hi","guidance_scale":1,"skew":0,"grammar_string":"","negative_prompt":"",
          "tools":[],"tool_choice":"auto","response_format":{"type":"text"},"num_beams":1,
          "encoder_repetition_penalty":1,"user":"u","skip_special_tokens":true})");
  EXPECT_THAT(neutral.told.ignored, ElementsAre());
  const Ask told = mini().completion(R"({"prompt":"hi","skew":0.5,"no_stop_trim":true})");
  EXPECT_THAT(told.told.ignored, ElementsAre("skew", "no_stop_trim"));
  EXPECT_EQ(refused_completion(R"({"prompt":"hi","tools":[{}],"tool_choice":"none"})"), "taken");
  const MiniModel tolerant({"serve.tolerate=[tools]"});
  EXPECT_THAT(tolerant.completion(R"({"prompt":"hi","tools":[{}]})").told.ignored,
              ElementsAre("tools"));
  const MiniModel strict({"serve.strict=true"});
  EXPECT_EQ(refusal_of([&] { strict.completion(R"({"prompt":"hi","foo":1})"); }),
            "400 unknown_parameter foo");
  EXPECT_EQ(
      MiniModel({"serve.aliases=[gpt-4]"}).completion(R"({"prompt":"a","model":"gpt-4"})").model,
      "gpt-4");
}

TEST(CompletionRequest, TakesAPresetOfTheServer) {
  const TemporaryFolder folder;
  const std::string file = folder.write("wild.yaml", "sampling: [{temperature: 1.9}, {top-k: 3}]");
  const MiniModel model({"serve.presets=[\"" + file + "\"]", "sampling=[{temperature: 0.5}]"});
  const auto first = [&](const std::string& body) {
    return model.completion(body).request.sampling.front().main->text;
  };
  EXPECT_EQ(first(R"({"prompt":"a"})"), "0.5");
  EXPECT_EQ(first(R"({"prompt":"a","preset":""})"), "0.5");
  EXPECT_EQ(first(R"({"prompt":"a","preset":"wild"})"), "1.9");
  // The request's fields change the preset.
  const Ask ask = model.completion(R"({"prompt":"a","preset":"wild","top_k":7})");
  EXPECT_EQ(ask.request.sampling.size(), 2u);
  EXPECT_EQ(ask.request.sampling[1].options.front().value.text, "7");
  EXPECT_EQ(refusal_of([&] { model.completion(R"({"prompt":"a","preset":"mild"})"); }),
            "400 invalid_value preset");
  EXPECT_EQ(refused_completion(R"({"prompt":"a","preset":"wild"})"), "400 invalid_value preset");
}

// A chain of the client's own must not get around what the operator has locked.
TEST(CompletionRequest, ALockHoldsAgainstAnOwnChain) {
  const char* body = R"({"prompt":"a","ropewalk":{"sampling":[{"temperature":1.5}]}})";
  const MiniModel open({"sampling=[{temperature: 0.5}]"});
  EXPECT_EQ(open.completion(body).request.sampling.front().main->text, "1.5");
  const MiniModel locked({"sampling=[{temperature: 0.5}]", "serve.sampling.lock=[temperature]"});
  const Ask ask = locked.completion(body);
  EXPECT_EQ(ask.request.sampling.front().main->text, "0.5");
  EXPECT_THAT(ask.told.ignored, ElementsAre("ropewalk.sampling"));
}

TEST(CompletionRequest, ValuesBeyondTheBoundsAreRefused) {
  const MiniModel bounded(
      {"serve.sampling.bounds=[temperature=0..1.5, typical=0.2..1, top_k=1..40]"});
  const auto refusal = [&](const std::string& fields) {
    return refusal_of([&] { bounded.completion(R"({"prompt":"a",)" + fields + "}"); });
  };
  EXPECT_EQ(refusal(R"("temperature":1.5,"top_k":40,"typical_p":0.2,"top_p":0.1)"), "taken");
  EXPECT_EQ(refusal(R"("temperature":1.6)"), "400 invalid_value temperature");
  EXPECT_EQ(refusal(R"("typical_p":0.1)"), "400 invalid_value typical_p");
  EXPECT_EQ(refusal(R"("top_k":-1)"), "400 invalid_value top_k");
  // Other fields that set a temperature.
  EXPECT_EQ(refusal(R"("do_sample":false)"), "taken");  // 0 is within the bounds
  EXPECT_EQ(refusal(R"("dynatemp_low":0.5,"dynatemp_high":1.6)"),
            "400 invalid_value dynatemp_high");
  const MiniModel warm({"serve.sampling.bounds=[temperature=0.5..1.5]"});
  EXPECT_EQ(refusal_of([&] { warm.completion(R"({"prompt":"a","do_sample":false})"); }),
            "400 invalid_value do_sample");
  const Ask ask =
      bounded.completion(R"({"prompt":"a","ropewalk":{"sampling":[{"temperature":1.9}]}})");
  EXPECT_THAT(ask.told.ignored, ElementsAre("ropewalk.sampling"));
}

TEST(CompletionRequest, AsksForLogprobsOfTheModelOrOfTheChoice) {
  EXPECT_EQ(mini().completion(R"({"prompt":"a","logprobs":1})").request.logprobs->of,
            LogprobsOf::model);
  const char* body = R"({"prompt":"a","logprobs":1,"ropewalk":{"logprobs":"final"}})";
  EXPECT_EQ(mini().completion(body).request.logprobs->of, LogprobsOf::choice);
  EXPECT_EQ(refused_completion(R"({"prompt":"a","ropewalk":{"logprobs":"raw"}})"), "taken");
  EXPECT_EQ(refused_completion(R"({"prompt":"a","ropewalk":{"logprobs":"cooked"}})"),
            "400 invalid_value ropewalk.logprobs");
}

TEST(CompletionRequest, AMisspeltFieldIsToldWithWhatItMayHaveBeen) {
  const Ask ask = mini().completion(R"({"prompt":"hi","temprature":0.5,"zzz":1})");
  EXPECT_THAT(ask.told.ignored, ElementsAre("temprature", "zzz"));
  EXPECT_THAT(ask.told.warnings, ElementsAre("temprature is unknown. Did you mean temperature?"));
}

// vicuna-v1.1, as FastChat has it.
TEST(ChatRequest, RendersTheConversation) {
  const Tokenizer& tokenizer = mini().text.tokenizer();
  const Ask ask = mini().chat(
      R"({"messages":[{"role":"developer","content":"Be kind."},{"role":"user","content":
          [{"type":"text","text":"Hel"},{"type":"text","text":"lo"}]}],"max_tokens":2})");
  EXPECT_EQ(tokenizer.decode(ask.prompts[0].ids), "Be kind. USER: Hello ASSISTANT:");
  EXPECT_EQ(ask.prompts[0].ids[0], tokenizer.bos_id());
  EXPECT_EQ(ask.request.leading_space, LeadingSpace::strip);
}

TEST(ChatRequest, JoinsWhatDoesNotAlternateOrRefusesIt) {
  const char* body = R"({"messages":[{"role":"system","content":"S"},
      {"role":"user","content":"a"},{"role":"user","content":"b"},
      {"role":"assistant","content":"c"},{"role":"system","content":"late"},
      {"role":"user","content":"d","name":"x"}],"max_tokens":1})";
  const Ask ask = mini().chat(body);
  EXPECT_EQ(mini().text.tokenizer().decode(ask.prompts[0].ids),
            "S USER: a\n\nb ASSISTANT: c USER: late\n\nd ASSISTANT:");
  EXPECT_EQ(ask.told.warnings.size(), 3u);
  const MiniModel strict({"serve.chat=strict"});
  EXPECT_EQ(refusal_of([&] { strict.chat(body); }), "400 invalid_value messages[2]");
}

TEST(ChatRequest, ContinuesTheLastMessageOnlyWhereAsked) {
  const char* body = R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},
      {"role":"assistant","content":"The sea"}]%s})";
  const auto with = [&](const std::string& more) {
    std::string text = body;
    return text.replace(text.find("%s"), 2, more);
  };
  EXPECT_EQ(refused_chat(with("")), "400 invalid_value messages[2]");
  for (const char* more : {R"(,"continue_final_message":true,"add_generation_prompt":false)",
                           R"(,"add_generation_prompt":false)"}) {
    const Ask ask = mini().chat(with(more));
    EXPECT_EQ(mini().text.tokenizer().decode(ask.prompts[0].ids), "S USER: a ASSISTANT: The sea");
    EXPECT_EQ(ask.request.leading_space, LeadingSpace::keep);
  }
}

// Llama 2's format puts a space and the end token behind a reply.
TEST(ChatRequest, ContinuesRightBehindTheMessage) {
  const MiniModel llama({"prompt.format=llama-2-chat", "prompt.system=S"});
  const Ask ask = llama.chat(R"({"messages":[{"role":"user","content":"a"},
      {"role":"assistant","content":"The sea"}],"continue_final_message":true,"max_tokens":1})");
  EXPECT_THAT(llama.text.tokenizer().decode(ask.prompts[0].ids),
              testing::EndsWith("a [/INST] The sea"));
}

TEST(ChatRequest, DropsTheOldestOnlyWhereAsked) {
  std::string list = R"({"role":"system","content":"S"})";
  for (int i = 0; i < 6; ++i)
    list += R"(,{"role":"user","content":"what is it"},{"role":"assistant","content":"a rope"})";
  list += R"(,{"role":"user","content":"now"})";
  const std::string messages = R"({"messages":[)" + list + R"(],"max_tokens":8)";
  EXPECT_EQ(refused_chat(messages + "}"), "400 context_length_exceeded messages");
  const Ask ask = mini().chat(messages + R"(,"ropewalk":{"truncate":"drop-oldest"}})");
  EXPECT_GT(ask.told.dropped_messages, 0u);
  EXPECT_LE(ask.prompts[0].ids.size() + 8, 64u);
  EXPECT_THAT(mini().text.tokenizer().decode(ask.prompts[0].ids), testing::StartsWith("S USER:"));
}

TEST(ChatRequest, RefusesByCodeAndIndex) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "400 missing_parameter messages"},
      {R"({"messages":[]})", "400 invalid_value messages"},
      {R"({"messages":["hi"]})", "400 invalid_type messages[0]"},
      {R"({"messages":[{"content":"a"}]})", "400 missing_parameter messages[0].role"},
      {R"({"messages":[{"role":"user"}]})", "400 missing_parameter messages[0].content"},
      {R"({"messages":[{"role":"owl","content":"a"}]})", "400 invalid_value messages[0].role"},
      {R"({"messages":[{"role":"user","content":"a"},{"role":"tool","content":"b"}]})",
       "400 unsupported_content messages[1].role"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
       "400 unsupported_content messages[0].content[0].type"},
      {R"({"messages":[{"role":"user","content":"a"}],"echo":true})",
       "400 unsupported_parameter echo"},
      {R"({"messages":[{"role":"user","content":"a"}],"best_of":2})",
       "400 unsupported_parameter best_of"},
      {R"({"messages":[{"role":"user","content":"a"}],"top_logprobs":2})",
       "400 invalid_value top_logprobs"},
      {R"({"messages":[{"role":"user","content":"a"}],"logprobs":true,"top_logprobs":21})",
       "400 invalid_value top_logprobs"},
      {R"({"messages":[{"role":"user","content":"a"}],"chat_template":"x"})",
       "400 unsupported_parameter chat_template"},
  };
  for (const auto& [body, expected] : cases) EXPECT_EQ(refused_chat(body), expected) << body;
}

TEST(ChatRequest, PrefersMaxCompletionTokens) {
  const Ask ask = mini().chat(
      R"({"messages":[{"role":"user","content":"a"}],"max_tokens":9,"max_completion_tokens":4})");
  EXPECT_EQ(ask.prompts[0].max_new_tokens, 4u);
}

}  // namespace
}  // namespace ropewalk::test
