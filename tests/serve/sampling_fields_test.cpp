// Fields of four kinds of clients become the plugin chain that the specification's table says.
#include "core/serve/request/sampling_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/plugin_choice.h"
#include "core/config/yaml.h"
#include "tests/error_of.h"
#include "tests/serve/mini_model.h"

namespace ropewalk::test {
namespace {

using namespace serve;
using testing::ElementsAre;

std::string text_of(const ConfigValue& value) {
  if (value.kind != ValueKind::list) return value.text;
  std::string out;
  for (const ConfigValue& item : value.items) out += (out.empty() ? "" : ",") + item.text;
  return "[" + out + "]";
}

// "top-p p=0.9" for each link.
std::vector<std::string> shown(const std::vector<PluginChoice>& chain) {
  std::vector<std::string> links;
  for (const PluginChoice& choice : chain) {
    links.push_back(choice.name);
    if (choice.main) links.back() += " " + text_of(*choice.main);
    for (const ConfigEntry& option : choice.options)
      links.back() += " " + option.key + "=" + text_of(option.value);
  }
  return links;
}

const Tokenizer& tokenizer() {
  static const Tokenizer kTokenizer = Tokenizer::open(RW_SOURCE_DIR "/models/airophin-mini", {});
  return kTokenizer;
}

std::vector<std::string> chain_of(const std::string& base, const std::string& body,
                                  const std::vector<std::string>& locked = {},
                                  Told* told = nullptr) {
  const Json json = Json::parse(body);
  Fields fields(json, "");
  Told own;
  return shown(requested_chain(fields, read_chain(parse_yaml(base, "y"), "sampling"),
                               {.tokenizer = &tokenizer(), .locked = locked}, told ? *told : own));
}

TEST(SamplingFields, LeaveTheConfiguredChainWhereTheyAreAbsentOrNeutral) {
  EXPECT_THAT(chain_of("[{temperature: 0.7}, {top-p: 0.9}]", "{}"),
              ElementsAre("temperature 0.7", "top-p 0.9"));
  EXPECT_THAT(chain_of("[]", R"({"top_p":1,"top_k":0,"min_p":0,"top_a":0,"typical_p":1,"tfs":1,
      "top_n_sigma":-1,"epsilon_cutoff":0,"eta_cutoff":0,"rep_pen":1,"frequency_penalty":0,
      "presence_penalty":0,"dry_multiplier":0,"dry_base":1.75,"xtc_probability":0,
      "smoothing_factor":0,"mirostat_mode":0,"no_repeat_ngram_size":0,"min_tokens":0,
      "dynatemp_low":1,"dynatemp_high":1,"ignore_eos":false,"logit_bias":{},"banned_tokens":"",
      "dry_sequence_breakers":"","temperature_last":false,"sampler_priority":[]})"),
              ElementsAre());
}

TEST(SamplingFields, SetTheFirstLinkOfTheirPluginWhereItStands) {
  EXPECT_THAT(chain_of("[{top-p: 0.9}, {temperature: 0.7}, {top-p: 0.5}]",
                       R"({"temperature":1.5,"top_p":0.8})"),
              ElementsAre("top-p p=0.8", "temperature temperature=1.5", "top-p 0.5"));
}

TEST(SamplingFields, PutMissingLinksInByTheOrderOfThePreset) {
  EXPECT_THAT(chain_of("[{temperature: 1}]",
                       R"({"min_p":0.05,"top_k":40,"top_p":0.9,"repetition_penalty":1.1,
                           "frequency_penalty":0.5,"presence_penalty":0.25,"typical":0.9,
                           "tfs_z":0.9,"top_a":0.2,"top_n_sigma":2,"epsilon_cutoff":3,
                           "eta_cutoff":4,"xtc_probability":0.5,"xtc_threshold":0.2,
                           "smoothing_factor":0.3,"dry_multiplier":0.8,"dry_range":-1,
                           "dry_sequence_breakers":"\"a\",\"b\"","no_repeat_ngram_size":3,
                           "min_length":5,"logit_bias":{"5":-1.5},"banned_tokens":"7,9"})"),
              ElementsAre("logit-bias ids=[5] bias=[-1.5]", "ban-tokens ids=[7,9]",
                          "min-length tokens=5", "repetition-penalty penalty=1.1",
                          "frequency-presence frequency=0.5 presence=0.25",
                          "dry multiplier=0.8 range=0 breakers=[a,b]", "top-n-sigma n=2",
                          "temperature 1", "quadratic factor=0.3", "top-k k=40", "top-p p=0.9",
                          "typical p=0.9", "epsilon epsilon=0.00030000000000000003",
                          "eta epsilon=0.0004", "tail-free z=0.9", "top-a a=0.2", "min-p p=0.05",
                          "xtc probability=0.5 threshold=0.2", "no-repeat-ngram size=3"));
}

TEST(SamplingFields, TemperatureZeroIsGreedyAndKeepsBansBiasesAndPenalties) {
  const char* base =
      "[{repetition-penalty: 1.1}, {temperature: 1}, {top-p: 0.9}, {ban-tokens: [x]}]";
  for (const char* body : {R"({"temperature":0})", R"({"do_sample":false,"temperature":0.9})"})
    EXPECT_THAT(chain_of(base, body),
                ElementsAre("repetition-penalty 1.1", "ban-tokens [x]", "greedy"));
  // Nothing is left beside greedy: the same as no samplers.
  for (const char* alone : {"[]", "[{temperature: 0.7}, {top-p: 0.9}]", "[greedy]"})
    EXPECT_THAT(chain_of(alone, R"({"temperature":0})"), ElementsAre());
}

// A configuration without samplers decodes greedily; a penalty alone does not make it draw.
TEST(SamplingFields, APenaltyAloneKeepsGreedyDecodingGreedy) {
  EXPECT_THAT(chain_of("[]", R"({"repetition_penalty":1.2})"),
              ElementsAre("repetition-penalty penalty=1.2", "greedy"));
  EXPECT_THAT(chain_of("[]", R"({"temperature":0.7})"), ElementsAre("temperature temperature=0.7"));
}

TEST(SamplingFields, RangesMeanWhatTheirServerMeans) {
  const char* base = "[{repetition-penalty: 1.1}]";
  EXPECT_THAT(chain_of(base, R"({"rep_pen_range":0})"),
              ElementsAre("repetition-penalty penalty=1.1 range=0"));
  EXPECT_THAT(chain_of(base, R"({"repeat_last_n":0})"),
              ElementsAre("repetition-penalty penalty=1"));
  EXPECT_THAT(chain_of(base, R"({"repeat_last_n":-1})"),
              ElementsAre("repetition-penalty penalty=1.1 range=0"));
  EXPECT_THAT(chain_of(base, R"({"repeat_last_n":0,"penalty_range":64})"),
              ElementsAre("repetition-penalty penalty=1.1 range=64"));
}

TEST(SamplingFields, MirostatAndDynamicTemperatureTakeTheirPlaces) {
  EXPECT_THAT(chain_of("[{temperature: 1}, {top-k: 5}, {min-p: 0.1}]",
                       R"({"mirostat":2,"mirostat_tau":4,"mirostat_eta":0.2})"),
              ElementsAre("temperature 1", "mirostat version=2 tau=4 eta=0.2"));
  EXPECT_THAT(chain_of("[{temperature: 1}, {top-k: 5}]",
                       R"({"temperature":1.0,"dynatemp_range":0.5,"dynatemp_exponent":2})"),
              ElementsAre("dynamic-temperature low=0.5 high=1.5 exponent=2", "top-k 5"));
  EXPECT_THAT(chain_of("[]", R"({"min_temp":0.5,"max_temp":2})"),
              ElementsAre("dynamic-temperature low=0.5 high=2"));
}

TEST(SamplingFields, OrderTheChainAsLlamaCppAndOobaSay) {
  const char* base = "[{repetition-penalty: 1.1}, {temperature: 1}, {top-k: 5}, {top-p: 0.9}]";
  EXPECT_THAT(chain_of(base, R"({"temperature_last":true})"),
              ElementsAre("repetition-penalty 1.1", "top-k 5", "top-p 0.9", "temperature 1"));
  EXPECT_THAT(chain_of(base, R"({"sampler_priority":"top_p\ntemperature"})"),
              ElementsAre("repetition-penalty 1.1", "top-p 0.9", "top-k 5", "temperature 1"));
  EXPECT_THAT(chain_of(base, R"({"samplers":["top_p","temperature"]})"),
              ElementsAre("repetition-penalty 1.1", "top-p 0.9", "temperature 1"));
  EXPECT_EQ(refusal_of([&] { chain_of(base, R"({"samplers":["top_q"]})"); }),
            "400 invalid_value samplers");
}

TEST(SamplingFields, BansJoinThoseOfTheConfiguration) {
  EXPECT_THAT(chain_of("[{ban-tokens: {ids: [3], texts: [a]}}, {temperature: 1}]",
                       R"({"logit_bias":[[4,false],[5,2]],"custom_token_bans":[6],
                           "bad_words":"b","ignore_eos":true})"),
              ElementsAre("logit-bias ids=[5] bias=[2]",
                          "ban-tokens ids=[3,4,6] texts=[a,b] end=true", "temperature 1"));
}

TEST(SamplingFields, LockedOnesKeepTheConfigurationAndAreTold) {
  Told told;
  EXPECT_THAT(chain_of("[{temperature: 0.7}]", R"({"temperature":2,"top_k":9,"rep_pen":1.5})",
                       {"temperature", "repetition_penalty"}, &told),
              ElementsAre("temperature 0.7", "top-k k=9"));
  EXPECT_THAT(told.ignored, testing::UnorderedElementsAre("temperature", "rep_pen"));
  // By any of a field's names.
  EXPECT_THAT(
      chain_of("[{repetition-penalty: 1.1}]",
               R"({"repetition_penalty":2,"repeat_last_n":5,"do_sample":false,"bad_words":"a"})",
               {"rep_pen", "penalty_range", "do_sample", "banned_strings"}),
      ElementsAre("repetition-penalty 1.1"));
}

// What a lock keeps is not changed by a field of another name either.
TEST(SamplingFields, ALockHoldsAgainstFieldsThatSetTheSameInAnotherWay) {
  const auto kept = [](const std::string& lock, const std::string& body, const std::string& base) {
    Told told;
    EXPECT_EQ(chain_of(base, body, {lock}, &told), chain_of(base, "{}")) << lock << " " << body;
    return told.ignored;
  };
  const std::string base = "[{repetition-penalty: 1.1}, {temperature: 0.7}, {top-p: 0.9}]";
  EXPECT_THAT(kept("temperature", R"({"do_sample":false})", base), ElementsAre("do_sample"));
  EXPECT_THAT(kept("temperature", R"({"dynatemp_range":1})", base), ElementsAre("dynatemp_range"));
  EXPECT_THAT(kept("temperature", R"({"min_temp":0.5,"max_temp":2})", base),
              ElementsAre("min_temp", "max_temp"));
  EXPECT_THAT(kept("temperature", R"({"mirostat":2})", base), ElementsAre("mirostat"));
  EXPECT_THAT(kept("top_p", R"({"mirostat_mode":2})", base), ElementsAre("mirostat_mode"));
  EXPECT_THAT(kept("top_p", R"({"samplers":["temperature"]})", base), ElementsAre("samplers"));
  EXPECT_THAT(kept("rep_pen", R"({"repeat_last_n":0})", base), ElementsAre("repeat_last_n"));
  // A greedy configuration stays greedy.
  EXPECT_THAT(kept("temperature", R"({"temperature":1,"mirostat_mode":2})", "[]"),
              ElementsAre("temperature", "mirostat_mode"));
  // What has nothing to do with the lock is taken.
  EXPECT_THAT(chain_of("[{dry: 0.5}, {temperature: 0.7}]", R"({"do_sample":false})", {"rep_pen"}),
              ElementsAre("dry 0.5", "greedy"));
  EXPECT_THAT(chain_of("[{temperature: 0.7}]", R"({"mirostat":2})", {"rep_pen"}),
              ElementsAre("temperature 0.7", "mirostat version=2"));
}

std::string refusal_of_names(const std::vector<std::string>& locked,
                             const std::vector<std::string>& bounded) {
  ServeConfig serve;
  serve.locked_sampling = locked;
  for (const std::string& field : bounded) serve.sampling_bounds.push_back({field, 0, 1});
  return error_of([&] { check_sampling_names(serve); });
}

TEST(SamplingFields, LocksAndBoundsNameFieldsThatExist) {
  EXPECT_EQ(refusal_of_names({"temperature", "rep_pen", "logit_bias", "samplers", "bad_words"},
                             {"temperature", "typical", "top_k", "repeat_last_n", "mirostat_tau"}),
            "no error");
  EXPECT_EQ(refusal_of_names({"top_p", "temprature"}, {}),
            "2 serve.sampling.lock: found temprature, expected a sampling field of requests. Did "
            "you mean temperature.");
  EXPECT_EQ(refusal_of_names({}, {"topk"}),
            "2 serve.sampling.bounds: found topk, expected a sampling field of requests that is a "
            "number. Did you mean top_k.");
  // logit_bias is no number.
  EXPECT_THAT(refusal_of_names({}, {"logit_bias"}), testing::HasSubstr("found logit_bias"));
  EXPECT_THAT(refusal_of_names({""}, {}), testing::HasSubstr("found , expected"));
}

TEST(SamplingFields, RefuseWhatNoPluginCouldCheck) {
  const auto refused = [](const std::string& body) {
    return refusal_of([&] { chain_of("[]", body); });
  };
  EXPECT_EQ(refused(R"({"temperature":"hot"})"), "400 invalid_type temperature");
  EXPECT_EQ(refused(R"({"top_k":1.5})"), "400 invalid_type top_k");
  EXPECT_EQ(refused(R"({"logit_bias":{"999999":1}})"), "400 token_out_of_range logit_bias");
  EXPECT_EQ(refused(R"({"logit_bias":{"a":1}})"), "400 invalid_value logit_bias");
  EXPECT_EQ(refused(R"({"dynatemp_low":2,"dynatemp_high":1})"), "400 invalid_value dynatemp_low");
  EXPECT_EQ(refused(R"({"banned_tokens":"1,x"})"), "400 invalid_type banned_tokens");
}

TEST(SamplingFields, AChainInTheConfigurationsFormReplacesAll) {
  const std::vector<std::string> known = {"temperature", "top-p"};
  EXPECT_THAT(
      shown(chain_from_json(Json::parse(R"([{"temperature":0.5},{"top-p":{"p":0.25}}])"), known)),
      ElementsAre("temperature 0.5", "top-p p=0.25"));
  EXPECT_EQ(refusal_of([&] { chain_from_json(Json::parse(R"(["../x"])"), known); }),
            "400 invalid_value ropewalk.sampling");
  EXPECT_EQ(refusal_of([&] { chain_from_json(Json::parse(R"(["xtc"])"), known); }),
            "400 invalid_value ropewalk.sampling");
}

}  // namespace
}  // namespace ropewalk::test
