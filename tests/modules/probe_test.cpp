#include "core/modules/probe.h"

#include <cmath>
#include <limits>

#include "core/modules/probe_record.h"
#include "tests/modules/modules_test.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

ModuleDescription sample() {
  constexpr double kNoBound = std::numeric_limits<double>::infinity();
  return {.kind = abi::ModuleKind::rope_scaling,
          .name = "spiral",
          .version = "0.1",
          .help = "Turns.",
          .source = "",
          .options = {{"factor", abi::OptionType::number, "2", "how far", 0.1, kNoBound},
                      {"label", abi::OptionType::text, "", "any", -kNoBound, kNoBound},
                      {"length", abi::OptionType::integer, {}, "how long", 1, 4096}}};
}

TEST(ProbeRecord, CarriesADescription) {
  const auto answer = decode_answer(encode_answer(sample()));
  ASSERT_TRUE(answer && std::holds_alternative<ModuleDescription>(*answer));
  const auto& module = std::get<ModuleDescription>(*answer);
  EXPECT_EQ(module.kind, abi::ModuleKind::rope_scaling);
  EXPECT_EQ(module.name, "spiral");
  EXPECT_EQ(module.help, "Turns.");
  ASSERT_EQ(module.options.size(), 3u);
  EXPECT_EQ(module.options[0].default_value, "2");
  EXPECT_EQ(module.options[0].minimum, 0.1);
  EXPECT_TRUE(std::isinf(module.options[0].maximum));
  EXPECT_EQ(module.options[1].default_value, "");
  EXPECT_EQ(module.options[1].type, abi::OptionType::text);
  EXPECT_EQ(module.options[2].default_value, std::nullopt);
}

TEST(ProbeRecord, CarriesARefusal) {
  const auto answer = decode_answer(encode_answer(ProbeRefusal{"is bad"}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<ProbeRefusal>(*answer).reason, "is bad");
}

TEST(ProbeRecord, IsRefusedWhenCutOrLonger) {
  const std::string record = encode_answer(sample());
  for (size_t i = 0; i < record.size(); ++i) EXPECT_FALSE(decode_answer(record.substr(0, i))) << i;
  EXPECT_FALSE(decode_answer(record + "x"));
}

TEST(ProbeRecord, IsRefusedWithUnknownNumbers) {
  ModuleDescription module = sample();
  module.kind = static_cast<abi::ModuleKind>(9);
  EXPECT_FALSE(decode_answer(encode_answer(module)));
  module = sample();
  module.options[0].type = static_cast<abi::OptionType>(0);
  EXPECT_FALSE(decode_answer(encode_answer(module)));
}

TEST(Probe, BringsTheDeclaration) {
  const ModuleDescription module = probe_module(liar("honest"), probe_settings());
  EXPECT_EQ(module.name, "honest");
  EXPECT_EQ(module.source, "tests/modules/liar.cpp");
  ASSERT_EQ(module.options.size(), 2u);
  EXPECT_EQ(module.options[1].maximum, 4096);
}

TEST(Probe, SaysThatItsProgramIsMissing) {
  EXPECT_THAT(error_of([] { probe_module(liar("honest"), {.program = "/nonexistent"}); }),
              HasSubstr("honest.so: cannot be probed: /nonexistent: No such file or directory."));
}

TEST(Probe, AnswersAreKeptUntilTheFileChanges) {
  const TemporaryFolder scratch;
  const fs::path file = scratch.copy(liar("honest"), "honest.so");
  ProbeCache cache;
  EXPECT_EQ(cache.probe(file, probe_settings()).name, "honest");
  const ProbeSettings none{.program = "/nonexistent"};
  EXPECT_EQ(cache.probe(file, none).name, "honest");
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_THAT(error_of([&] { cache.probe(file, none); }), HasSubstr("cannot be probed"));
  fs::remove(file);
  EXPECT_THAT(error_of([&] { cache.probe(file, none); }), HasSubstr("cannot be opened"));
}

// Descriptor 3 is closed when a user starts the hidden command by hand.
TEST(Probe, ChildWithoutAPipeEnds) {
  const std::string command = std::string(kProbeMark) + "=1 " + RW_PROBE_PROGRAM +
                              " plugins --probe " + liar("honest").string() + " 3>&-";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 2);
}

// A program that forgets to hand over to probe_child() looks for modules in the child as well.
TEST(Probe, StartsNothingWithinAProbe) {
  setenv(kProbeMark, "1", 1);
  const std::string message = error_of([] { probe_module(liar("honest"), probe_settings()); });
  unsetenv(kProbeMark);
  EXPECT_THAT(message, HasSubstr("honest.so: cannot be probed from within a probe"));
}

}  // namespace
}  // namespace ropewalk::test
