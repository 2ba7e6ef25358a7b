// Every lie of liar.cpp is refused in words, and the host survives.
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "core/abi/sampler.h"
#include "core/modules/door.h"
#include "core/modules/probe.h"
#include "tests/modules/modules_test.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Finds, loads and uses the library as the engine would: what `body` does with the sampler.
template <class Body>
std::string open(const fs::path& file, const ProbeSettings& probe, Body&& body) {
  return error_of([&] {
    RegistrySettings settings = settings_for({file});
    settings.probe = probe;
    Registry registry(settings);
    const std::string name = file.stem();
    const Library& library = registry.find(abi::ModuleKind::sampler, name);
    const PluginChoice choice{.name = name, .key = "sampling[0]", .where = {"test.yaml", 3, 5}};
    body(*library.create<abi::Sampler>(choice, nullptr));
  });
}

std::string use(const fs::path& file, const ProbeSettings& probe) {
  return open(file, probe, [](abi::Sampler& sampler) {
    abi::Candidate candidate{0, 1.5f};
    abi::Candidates candidates{&candidate, 1, true};
    check(sampler.apply(candidates, {}), "apply");
    EXPECT_EQ(candidate.logit, 3.0f);
  });
}

struct Lie {
  const char* name;
  const char* answer;  // part of the message
};

class Liars : public testing::TestWithParam<Lie> {};

TEST_P(Liars, AreRefusedInWords) {
  const fs::path file = liar(GetParam().name);
  const std::string message = use(file, probe_settings());
  EXPECT_THAT(message, HasSubstr(GetParam().answer));
  EXPECT_THAT(message, HasSubstr(file.string()));
  EXPECT_THAT(message, StartsWith("4 "));
}

const std::string kOurs = abi::kToolchain;
const std::string kOtherToolchain =
    "was built with X" + kOurs.substr(1) + ", this Ropewalk with " + kOurs;

INSTANTIATE_TEST_SUITE_P(
    Modules, Liars,
    testing::Values(
        // The head.
        Lie{"wrong-magic",
            "is no Ropewalk module: its ropewalk_module begins with ROPXWALK, expected ROPEWALK"},
        Lie{"wrong-major", "needs ABI 2.0, this Ropewalk has 1.0"},
        Lie{"newer-minor", "needs ABI 1.7, this Ropewalk has 1.0"},
        Lie{"small-struct", "declares itself in 168 bytes, expected 176"},
        Lie{"large-struct", "declares itself in 184 bytes, expected 176"},
        Lie{"unknown-kind", "is of the unknown kind 9, expected 1 to 4"},
        Lie{"other-toolchain", kOtherToolchain.c_str()},
        Lie{"unended-toolchain", "was built with TTTTT"},
        Lie{"no-symbol", "is a library, but exports no ropewalk_module"},
        Lie{"function", "exports ropewalk_module as something else than data"},
        Lie{"filled-late",
            "does not hold its ropewalk_module, which is filled only when it is loaded"},
        // The declaration.
        Lie{"null-name", "declares itself badly: name is null"},
        Lie{"empty-name", "declares itself badly: name is empty"},
        Lie{"path-name", "name is ../honest, expected at most 64 letters"},
        Lie{"null-version", "version is null"}, Lie{"null-help", "help is null"},
        Lie{"control-help", "help is not printable text: \\x1b[2J"},
        Lie{"null-options", "options is null"},
        Lie{"many-options", "it has 4294967295 options, expected at most 256"},
        Lie{"null-create", "create is null"},
        Lie{"bad-default", "option factor has the default many, expected a number from 0 to 100"},
        Lie{"bad-range", "option factor has the range 0 to -1"},
        Lie{"option-twice", "option factor is there twice"},
        Lie{"option-nameless", "an option's name is null"},
        Lie{"option-typeless", "option length has an unknown type"},
        Lie{"option-helpless", "option length: help is null"},
        // The factory.
        Lie{"throws-std", "the factory is on strike"},
        Lie{"throws-int", "an exception that is not a std::exception was thrown"},
        Lie{"throws-own", "an exception that is not a std::exception was thrown"},
        Lie{"says-no", "no, thank you"},
        Lie{"aborts-in-create", "crashed while it was loaded to be looked at (signal 6, Aborted)"},
        Lie{"exits-in-create",
            "ended the process while it was loaded to be looked at (exit code 5)"},
        Lie{"makes-nothing", "create() returned no object"},
        // By a signal, or under UBSan by its exit code.
        Lie{"hollow", " while it was loaded to be looked at ("},
        Lie{"escapes", "threw an exception out of create()"},
        // The loader.
        Lie{"undefined-symbol", "undefined symbol"},
        Lie{"missing-dependency", "libliar_gone.so: cannot open shared object file"},
        // While it is loaded.
        Lie{"aborts", "crashed while it was loaded to be looked at (signal 6, Aborted)"},
        Lie{"segfaults", "(signal 11, Segmentation fault)"},
        Lie{"bus-error", "(signal 7, Bus error)"},
        Lie{"exits", "ended the process while it was loaded to be looked at (exit code 3)"},
        Lie{"exits-quietly", "(exit code 0)"}, Lie{"throws-at-load", "(signal 6, Aborted)"}),
    [](const auto& row) {
      std::string name = row.param.name;
      for (char& c : name)
        if (c == '-') c = '_';
      return name;
    });

TEST(Modules, HonestOneWorks) { EXPECT_EQ(use(liar("honest"), probe_settings()), "no error"); }
TEST(Modules, OlderHashTableWorks) {
  EXPECT_EQ(use(liar("sysv-hash"), probe_settings()), "no error");
}
TEST(Modules, OneThatStartsAThreadWorks) {
  EXPECT_EQ(use(liar("starts-thread"), probe_settings()), "no error");
}

// Libraries are never unloaded, so neither the order nor the number of handles matters.
TEST(Modules, OneIsOpenedAThousandTimes) {
  const PluginChoice choice{.name = "honest", .key = "sampling[0]", .where = {"test.yaml", 3, 5}};
  std::vector<Owned<abi::Sampler>> samplers;
  for (int i = 0; i < 1000; ++i)
    samplers.push_back(Library(liar("honest")).create<abi::Sampler>(choice, nullptr));
  for (const Owned<abi::Sampler>& sampler : samplers) {  // whose Library has long gone
    abi::Candidate candidate{0, 1.5f};
    abi::Candidates candidates{&candidate, 1, true};
    check(sampler->apply(candidates, {}), "apply");
    ASSERT_EQ(candidate.logit, 3.0f);
  }
}

TEST(Modules, OneThatPrintsConfusesNobody) {
  EXPECT_EQ(probe_module(liar("prints"), probe_settings()).version, "1.2.3");
}

// The grandchild keeps the pipe open for a minute, longer than a probe may take; the answer is
// there all the same.
TEST(Modules, OneThatForksIsNotWaitedFor) {
  EXPECT_EQ(probe_module(liar("forks"), probe_settings()).name, "forks");
}

TEST(Modules, OneThatHangsIsEnded) {
  ProbeSettings settings = probe_settings();
  settings.limit = std::chrono::milliseconds(300);
  EXPECT_THAT(use(liar("sleeps"), settings), HasSubstr("sleeps.so: did not answer within 300 ms"));
}

// An option without a default may be required; that is no fault.
TEST(Modules, OneThatDislikesItsDefaultsPassesTheProbe) {
  EXPECT_EQ(probe_module(liar("dislikes-options"), probe_settings()).name, "dislikes-options");
}

TEST(Modules, FactorysDislikeOfOptionsNamesTheirPlace) {
  const Library library(liar("dislikes-options"));
  const PluginChoice choice{.name = "x", .key = "sampling[0]", .where = {"test.yaml", 3, 5}};
  EXPECT_EQ(error_of([&] { library.create<abi::Sampler>(choice, nullptr); }),
            "2 test.yaml:3:5: sampling[0]: x: factor and length exclude each other.");
}

TEST(Modules, TruncatedFilesAreRefused) {
  const TemporaryFolder scratch;
  const std::string bytes = read_file(liar("honest"));
  int refused = 0;
  for (size_t i = 0; i < 20; ++i) {
    const std::string name = "cut" + std::to_string(i) + ".so";
    const fs::path file = scratch.write(name, bytes.substr(0, bytes.size() * i / 20));
    const std::string message = error_of([&] { probe_module(file, probe_settings()); });
    if (message == "no error") continue;  // only what the loader does not read is gone
    EXPECT_THAT(message, testing::ContainsRegex("is empty|is damaged or incomplete"));
    ++refused;
  }
  EXPECT_GE(refused, 10);
}

// Up to and with the making of an object. Damage in code that runs only later, as in apply(), is
// not found by a probe.
TEST(Modules, CorruptedFilesDoNotEndTheHost) {
  const TemporaryFolder scratch;
  const std::string bytes = read_file(liar("honest"));
  std::mt19937 random(20230901);
  int refused = 0;
  for (int i = 0; i < 100; ++i) {
    std::string damaged = bytes;
    // Most flips of a whole file hit symbols and notes; the tables that the loader follows stand
    // in the first and the last few KiB.
    const size_t place = random() % (i % 2 ? bytes.size() : 2048);
    damaged[place] = static_cast<char>(damaged[place] ^ (1u << random() % 8));
    fs::create_directories(scratch.path() / std::to_string(i));
    const fs::path file = scratch.write(std::to_string(i) + "/honest.so", damaged);
    // Up to the probe: what the child survives may still be damaged code that the host must not
    // run.
    try {
      check_door(file);
      probe_module(file, probe_settings());
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace ropewalk::test
