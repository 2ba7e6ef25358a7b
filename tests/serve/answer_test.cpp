// Answers and streams, to the byte and to the field that openai-python reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "core/serve/answer/json_text.h"
#include "core/serve/answer/stream_answer.h"
#include "core/serve/answer/whole_answer.h"
#include "core/serve/run/responses.h"
#include "tests/serve/mini_model.h"

namespace ropewalk::test {
namespace {

using namespace serve;
using testing::ElementsAre;
using testing::HasSubstr;

AnswerFacts facts(const std::string& id) { return {id, 7, "f00d", mini().text.tokenizer()}; }

Update text(const std::string& words, std::vector<ScoredToken> tokens) {
  Update update;
  update.text = words;
  for (ScoredToken& token : tokens) update.tokens.push_back({std::move(token)});
  return update;
}

Update end(Finish finish, uint32_t new_tokens) {
  Update update;
  update.end = Ending{.finish = finish, .prompt_tokens = 2, .new_tokens = new_tokens};
  return update;
}

TEST(JsonText, IsReadByNlohmannToTheSameAndIsOneLine) {
  std::string all;
  for (int byte = 1; byte < 0x100; ++byte)
    all += byte < 0x80 ? std::string(1, static_cast<char>(byte))
                       : std::string{static_cast<char>(0xc0 | byte >> 6),
                                     static_cast<char>(0x80 | (byte & 0x3f))};
  all += "\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa \xf0\x9f\xa6\x99 </script>";
  const std::string text = json_text({{"a", all}, {"b", -1.2345678901234567}});
  EXPECT_EQ(nlohmann::json::parse(text)["a"], all);
  EXPECT_EQ(nlohmann::json::parse(text)["b"], -1.2345678901234567);
  for (const char* bad : {"\n", "\r", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"})
    EXPECT_EQ(text.find(bad), std::string::npos);
  EXPECT_THAT(text, HasSubstr("\xf0\x9f\xa6\x99"));  // raw, no surrogates
  EXPECT_EQ(json_text("\xff"), "\"\xef\xbf\xbd\"");
  EXPECT_EQ(json_string(all), json_text(all));
  EXPECT_EQ(json_string(""), "\"\"");
  for (const char c : all) EXPECT_EQ(json_string({&c, 1}), json_text(std::string(1, c)));
}

TEST(WholeAnswer, OfACompletion) {
  Ask ask = mini().completion(R"({"prompt":"hi","seed":5,"max_tokens":3,"foo":1})");
  const AnswerFacts own = facts("cmpl-1");
  WholeAnswer answer(ask, own);
  answer.take(0, text(" there", {{926}, {5}}));
  answer.take(0, end(Finish::stop, 2));
  EXPECT_EQ(answer.json(), Json::parse(R"({"id":"cmpl-1","object":"text_completion","created":7,
      "model":"airophin-mini","system_fingerprint":"f00d","choices":[{"index":0,"text":" there",
      "logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":2,
      "completion_tokens":2,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":0}},
      "ropewalk":{"seeds":[5],"finish":["stop"],"ignored":["foo"]}})"));
}

TEST(WholeAnswer, OfAChatWithLogprobs) {
  Ask ask = mini().chat(
      R"({"messages":[{"role":"user","content":"a"}],"logprobs":true,"top_logprobs":1,"seed":5})");
  const AnswerFacts own = facts("chatcmpl-1");
  WholeAnswer answer(ask, own);
  const int32_t eos = mini().text.tokenizer().eos_id();
  answer.take(0, text("hi", {{926, -0.5, {{926, -0.5}}}, {eos, -0.25, {{eos, -0.25}}}}));
  answer.take(0, end(Finish::stop, 2));
  const Json choice = answer.json()["choices"][0];
  EXPECT_EQ(choice["message"],
            Json::parse(R"({"role":"assistant","content":"hi","refusal":null})"));
  const std::string token = choice["logprobs"]["content"][0]["token"];
  EXPECT_EQ(token, std::string(mini().text.tokenizer().text_of(926).bytes));
  ASSERT_EQ(choice["logprobs"]["content"].size(), 1u);  // the end token has no text
  EXPECT_EQ(choice["logprobs"]["content"][0]["logprob"], -0.5);
  EXPECT_EQ(choice["logprobs"]["content"][0]["top_logprobs"].size(), 1u);
  EXPECT_EQ(choice["logprobs"]["content"][0]["bytes"].size(), token.size());
}

TEST(WholeAnswer, EchoListsThePromptFirst) {
  Ask ask = mini().completion(R"({"prompt":"hi","echo":true,"logprobs":1,"max_tokens":1})");
  const AnswerFacts own = facts("cmpl-1");
  WholeAnswer answer(ask, own);
  Update prompt;
  prompt.prompt = {{1}, {926, -3.0, {{5, -0.5}}}};
  answer.take(0, prompt);
  const int32_t eos = mini().text.tokenizer().eos_id();
  answer.take(0, text("", {{eos, -1.0, {{eos, -1.0}}}}));
  answer.take(0, end(Finish::stop, 1));
  const Json choice = answer.json()["choices"][0];
  EXPECT_EQ(choice["text"], "hi");
  const Json& logprobs = choice["logprobs"];
  const std::string hi(mini().text.tokenizer().text_of(926).bytes);
  EXPECT_EQ(logprobs["tokens"], Json({"<s>", hi, "</s>"}));
  EXPECT_EQ(logprobs["token_logprobs"], Json({nullptr, -3.0, -1.0}));
  EXPECT_EQ(logprobs["text_offset"], Json({0, 0, 2}));
  EXPECT_EQ(logprobs["top_logprobs"][0], nullptr);
  EXPECT_EQ(logprobs["top_logprobs"][1].size(), 2u);  // the likeliest and the taken one
  EXPECT_EQ(logprobs["top_logprobs"][1][hi], -3.0);
}

TEST(WholeAnswer, BestOfTakesTheGreatestMeanLogprob) {
  Ask ask = mini().completion(R"({"prompt":["hi","blue"],"best_of":3,"n":1,"max_tokens":2})");
  const AnswerFacts own = facts("cmpl-1");
  WholeAnswer answer(ask, own);
  const double logprobs[] = {-2.0, -1.0, -3.0, -5.0, -6.0, -4.0};
  for (uint32_t reply = 0; reply < 6; ++reply) {
    answer.take(reply, text(std::to_string(reply), {{926, logprobs[reply]}}));
    answer.take(reply, end(Finish::length, 1));
  }
  const Json json = answer.json();
  ASSERT_EQ(json["choices"].size(), 2u);
  EXPECT_EQ(json["choices"][0]["text"], "1");
  EXPECT_EQ(json["choices"][1]["text"], "5");
  EXPECT_EQ(json["choices"][1]["index"], 1);
  EXPECT_EQ(json["choices"][1]["logprobs"], nullptr);
  EXPECT_EQ(json["usage"]["completion_tokens"], 6);
}

TEST(WholeAnswer, NamesWhatStoppedIt) {
  Ask ask = mini().completion(R"({"prompt":"hi","stop":"X","stop_token_ids":[9]})");
  Ending ending{.finish = Finish::stop};
  EXPECT_EQ(stop_reason(ending, ask.request), nullptr);
  ending.stop_id = 9;
  EXPECT_EQ(stop_reason(ending, ask.request), 9);
  ending.stop_id = mini().text.tokenizer().eos_id();
  EXPECT_EQ(stop_reason(ending, ask.request), nullptr);
  ending.stop = "X";
  EXPECT_EQ(stop_reason(ending, ask.request), "X");
  EXPECT_EQ(finish_reason({.finish = Finish::deadline}), "length");
}

TEST(StreamAnswer, OfAChatIsToTheByte) {
  Ask ask = mini().chat(R"({"messages":[{"role":"user","content":"a"}],"stream":true})");
  const AnswerFacts own = facts("chatcmpl-1");
  StreamAnswer stream(ask, own);
  std::string bytes = stream.begin();
  bytes += stream.take(0, text("", {{926}}));  // held back: nothing is sent
  bytes += stream.take(0, text("Hel", {{927}}));
  bytes += stream.take(0, end(Finish::stop, 2));
  bytes += stream.end();
  const std::string head =
      R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"airophin-mini",)"
      R"("system_fingerprint":"f00d","choices":[{"index":0,)";
  EXPECT_EQ(bytes,
            ": ropewalk\n\n"
            "data: " +
                head +
                R"("delta":{"role":"assistant","content":""},"logprobs":null,)"
                R"("finish_reason":null}]})"
                "\n\n"
                "data: " +
                head +
                R"("delta":{"content":"Hel"},"logprobs":null,"finish_reason":null}]})"
                "\n\n"
                "data: " +
                head +
                R"("delta":{},"logprobs":null,"finish_reason":"stop",)"
                R"("stop_reason":null}]})"
                "\n\n"
                "data: [DONE]\n\n");
}

// Reads a stream as a client does, independently of how it is written.
std::vector<Json> read_events(const std::string& bytes) {
  std::vector<Json> events;
  std::istringstream lines(bytes);
  bool done = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == ':') continue;
    EXPECT_TRUE(line.starts_with("data: "));
    EXPECT_FALSE(done);
    done = line == "data: [DONE]";
    if (!done) events.push_back(Json::parse(line.substr(6)));
  }
  EXPECT_TRUE(done);
  return events;
}

TEST(StreamAnswer, ChunksAddUpToTheAnswerWithoutStream) {
  Ask ask = mini().completion(R"({"prompt":"hi","echo":true,"logprobs":1,"n":2,"stream":true,
                                  "stream_options":{"include_usage":true},"max_tokens":4})");
  const AnswerFacts own = facts("cmpl-1");
  StreamAnswer stream(ask, own);
  WholeAnswer whole(ask, own);
  std::string bytes = stream.begin();
  const auto both = [&](uint32_t reply, const Update& update) {
    bytes += stream.take(reply, update);
    whole.take(reply, update);
  };
  Update prompt;
  prompt.prompt = {{1}, {926, -3.0, {{926, -3.0}}}};
  both(0, prompt);
  both(1, prompt);
  both(1, text(" bl", {{5, -0.5, {{5, -0.5}}}}));
  both(0, text("", {{6, -0.5, {{6, -0.5}}}}));
  both(0, text(" a", {{7, -0.75, {{7, -0.75}}}}));
  both(1, end(Finish::length, 1));
  both(0, end(Finish::stop, 2));
  bytes += stream.end();

  std::vector<Json> events = read_events(bytes);
  const Json answer = whole.json();
  EXPECT_EQ(events.back()["choices"], Json::array());
  EXPECT_EQ(events.back()["usage"], answer["usage"]);
  events.pop_back();
  std::string texts[2];
  Json tokens[2] = {Json::array(), Json::array()}, offsets[2] = {Json::array(), Json::array()};
  std::string finish[2];
  for (const Json& event : events) {
    EXPECT_TRUE(event.contains("usage") && event["usage"].is_null());
    const Json& choice = event["choices"][0];
    const size_t index = choice["index"];
    EXPECT_TRUE(finish[index].empty());  // nothing comes behind the end
    texts[index] += choice["text"].get<std::string>();
    if (!choice["finish_reason"].is_null()) finish[index] = choice["finish_reason"];
    if (choice["logprobs"].is_null()) continue;
    for (const Json& token : choice["logprobs"]["tokens"]) tokens[index].push_back(token);
    for (const Json& at : choice["logprobs"]["text_offset"]) offsets[index].push_back(at);
  }
  for (size_t index : {0u, 1u}) {
    const Json& choice = answer["choices"][index];
    EXPECT_EQ(texts[index], choice["text"]);
    EXPECT_EQ(finish[index], choice["finish_reason"]);
    EXPECT_EQ(tokens[index], choice["logprobs"]["tokens"]);
    EXPECT_EQ(offsets[index], choice["logprobs"]["text_offset"]);
  }
}

TEST(StreamAnswer, AFailureIsAnEventAndAnEnd) {
  const std::string bytes = StreamAnswer::fail(ApiError(500, "non_finite", "NaN.", ""));
  EXPECT_EQ(bytes, R"(data: {"error":{"message":"NaN.","type":"server_error","param":null,)"
                   R"("code":"non_finite"}})"
                   "\n\ndata: [DONE]\n\n");
}

TEST(LegacyLogprobs, NamesEveryTokenOnce) {
  const Tokenizer& tokenizer = mini().text.tokenizer();
  EXPECT_EQ(token_name(tokenizer, tokenizer.eos_id(), TokenNames::texts), "</s>");
  EXPECT_EQ(token_name(tokenizer, 926, TokenNames::ids), "token_id:926");
  // The byte tokens begin at id 3: <0x00>. A byte above 0x7f alone is no character.
  EXPECT_EQ(token_name(tokenizer, 3 + 0xe2, TokenNames::texts), "bytes:\\xe2");
  // <0x41> and the piece A have one text: the less likely is told by its id.
  const std::vector<int32_t> a = tokenizer.encode_text("A", SpecialTokens::as_text);
  int32_t piece = -1;
  for (int32_t id = 259; id < static_cast<int32_t>(tokenizer.vocab_size()); ++id)
    if (tokenizer.text_of(id).bytes == "A") piece = id;
  ASSERT_GE(piece, 0);
  LegacyLogprobs logprobs(tokenizer, TokenNames::texts, LeadingSpace::keep);
  const std::vector<ScoredToken> tokens = {{piece, -0.5, {{piece, -0.5}, {3 + 0x41, -1.0}}}};
  EXPECT_EQ(logprobs.take(tokens)["top_logprobs"][0],
            Json::parse(R"({"A":-0.5,"token_id:68":-1.0})"));
}

// The table of the specification's section 1.9.
TEST(ApiError, HasAStatusForEveryExitCode) {
  const std::vector<std::tuple<ExitCode, int, std::string>> cases = {
      {ExitCode::usage, 400, "invalid_value"},
      {ExitCode::model, 500, "internal"},
      {ExitCode::plugin, 500, "plugin_failed"},
      {ExitCode::no_device, 503, "device_lost"},
      {ExitCode::out_of_memory, 503, "cache_exhausted"},
      {ExitCode::device_lost, 503, "device_lost"},
      {ExitCode::output, 500, "internal"},
      {ExitCode::non_finite, 500, "non_finite"},
      {ExitCode::limit, 400, "context_length_exceeded"}};
  for (const auto& [exit, status, code] : cases) {
    const ApiError error = api_error(Error(exit, "x", "is wrong", ""));
    EXPECT_EQ(error.status(), status);
    EXPECT_EQ(error.code(), code);
    EXPECT_EQ(error.retry_after() > 0, status == 503);
  }
  const Error option(ExitCode::usage, "top_p: sampling: top-p: p", "found 7", "");
  EXPECT_EQ(api_error(option).json()["error"]["param"], "top_p");
  EXPECT_EQ(api_error(Error(ExitCode::usage, "the chain", "is bad", "")).param(), "");
  EXPECT_EQ(error_type(401), "authentication_error");
  EXPECT_EQ(error_type(403), "permission_error");
  EXPECT_EQ(error_type(404), "invalid_request_error");
  EXPECT_EQ(error_type(408), "timeout_error");
  EXPECT_EQ(error_type(429), "rate_limit_error");
  EXPECT_EQ(error_type(503), "server_error");
}

TEST(Responses, SayHowTheClientMayGoOn) {
  http::Response response = error_response(refusal_error(Refusal::queue_full, Seconds(2.5)));
  EXPECT_EQ(response.status, 503);
  ASSERT_EQ(response.headers.size(), 1u);
  EXPECT_EQ(response.headers[0].name + response.headers[0].value, "Retry-After3");
  response = error_response(ApiError(401, "invalid_api_key", "No.", ""));
  EXPECT_EQ(response.headers[0].name, "WWW-Authenticate");
  Told told;
  for (int i = 0; i < 40; ++i) told.ignored.push_back("f" + std::to_string(i));
  response = {};
  add_ignored(response, told);
  EXPECT_THAT(response.headers[0].value, testing::EndsWith(",f31"));
  Ending ending{.finish = Finish::failed, .cause = EndCause::queue_timeout};
  EXPECT_EQ(ending_error(ending).code(), "queue_timeout");
}

}  // namespace
}  // namespace ropewalk::test
