#include "core/modules/registry.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/abi/sampler.h"
#include "core/modules/program_path.h"
#include "tests/modules/modules_test.h"

namespace ropewalk::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr auto kSampler = abi::ModuleKind::sampler;

// An install folder with honest.so among the samplers, and nothing else.
struct Installed {
  TemporaryFolder scratch;
  RegistrySettings settings{
      .install_folder = scratch.path(), .paths = {}, .probe = probe_settings()};
  Installed() { scratch.copy(liar("honest"), "samplers/honest.so"); }
};

TEST(Registry, FindsWhatIsInstalledWithoutAProbe) {
  Installed installed;
  installed.settings.probe.program = "/nonexistent";
  Registry registry(installed.settings);
  const Library& library = registry.find(kSampler, "honest");
  EXPECT_EQ(library.description().help, "Doubles every logit.");
  EXPECT_EQ(&registry.find(kSampler, "honest"), &library);
}

TEST(Registry, ProbesAStrangerBeforeLoadingIt) {
  RegistrySettings settings = settings_for({liar("honest")});
  settings.probe.program = "/nonexistent";
  Registry registry(settings);
  EXPECT_THAT(error_of([&] { registry.find(kSampler, "honest"); }), HasSubstr("cannot be probed"));
}

TEST(Registry, FindsInFoldersAndTheirKindFolders) {
  const TemporaryFolder scratch;
  scratch.copy(liar("honest"), "flat/honest.so");
  scratch.copy(liar("sysv-hash"), "sorted/samplers/sysv-hash.so");
  Registry registry(settings_for({scratch.path() / "flat", scratch.path() / "sorted"}));
  EXPECT_EQ(registry.find(kSampler, "honest").file(), scratch.path() / "flat/honest.so");
  EXPECT_EQ(registry.find(kSampler, "sysv-hash").description().name, "sysv-hash");
}

TEST(Registry, FindsANameInAFileOfAnotherName) {
  const TemporaryFolder scratch;
  scratch.copy(liar("honest"), "my-plugin.so");
  scratch.write("broken.so", "text");  // nobody asked for it
  Registry registry(settings_for({scratch.path()}));
  EXPECT_EQ(registry.find(kSampler, "honest").file(), scratch.path() / "my-plugin.so");
  EXPECT_EQ(registry.find_if_present(kSampler, "my-plugin"), nullptr);
}

TEST(Registry, RefusesTwoOfOneName) {
  Installed installed;
  const TemporaryFolder other;
  const fs::path copy = other.copy(liar("honest"), "honest.so");
  installed.settings.paths = {other.path()};
  Registry registry(installed.settings);
  EXPECT_EQ(error_of([&] { registry.find(kSampler, "honest"); }),
            "4 " + copy.string() + ": is a sampler called honest, as is " +
                (installed.scratch.path() / "samplers/honest.so").string() +
                ". Remove one of them, or rename yours.");
}

TEST(Registry, SaysWhereItLookedAndWhatIsNear) {
  Installed installed;
  const TemporaryFolder other;
  installed.settings.paths = {other.path()};
  Registry registry(installed.settings);
  const PluginChoice choice{.name = "onest", .key = "sampling[0]", .where = {"test.yaml", 3, 5}};
  EXPECT_EQ(error_of([&] { registry.find_choice(kSampler, choice); }),
            "4 test.yaml:3:5: found no sampler called onest, searched " +
                (installed.scratch.path() / "samplers").string() + ", " + other.path().string() +
                ". Did you mean honest.");
  EXPECT_THAT(error_of([&] { registry.find(kSampler, "something-else"); }),
              HasSubstr("Known are honest."));
  EXPECT_EQ(registry.find_if_present(kSampler, "onest"), nullptr);
}

TEST(Registry, SaysThatItIsOfAnotherKind) {
  Installed installed;
  Registry registry(installed.settings);
  EXPECT_THAT(error_of([&] { registry.find(abi::ModuleKind::backend, "honest"); }),
              AllOf(HasSubstr("found no backend called honest: "), HasSubstr(" is a sampler")));
  const Library library(liar("honest"));
  EXPECT_EQ(library.description().kind, kSampler);
}

TEST(Registry, NeverLooksInTheCurrentFolder) {
  const TemporaryFolder scratch;
  scratch.copy(liar("honest"), "honest.so");
  scratch.copy(liar("honest"), "samplers/honest.so");
  const fs::path before = fs::current_path();
  fs::current_path(scratch.path());
  Registry registry(settings_for({}));
  const Library* found = registry.find_if_present(kSampler, "honest");
  const Library* by_file_name = registry.find_if_present(kSampler, "honest.so");
  fs::current_path(before);
  EXPECT_EQ(found, nullptr);
  EXPECT_EQ(by_file_name, nullptr);
}

TEST(Registry, RefusesAPathThatIsNotThere) {
  EXPECT_EQ(error_of([] { Registry(settings_for({"/nonexistent/plugins"})); }),
            "4 /nonexistent/plugins: is not there, expected a module or a folder. Correct "
            "plugins.paths.");
}

TEST(Registry, WarnsOfAFolderThatAnyoneMayWrite) {
  const TemporaryFolder scratch;
  chmod(scratch.path().c_str(), 0777);
  testing::internal::CaptureStderr();
  Registry registry(settings_for({scratch.path()}));
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "warning: " + scratch.path().string() +
                ": may be written by every user of this machine. Take the right away: chmod o-w " +
                scratch.path().string() + ".\n");
  RegistrySettings strict = settings_for({scratch.path()});
  strict.trust = Trust::refuse;
  EXPECT_THAT(error_of([&] { Registry{strict}; }), HasSubstr("may be written by every user"));
}

TEST(Registry, ListsEveryFileWithItsVerdict) {
  Installed installed;
  const TemporaryFolder other;
  other.copy(liar("honest"), "copy.so");
  other.copy(liar("wrong-major"), "wrong-major.so");
  other.copy(liar("aborts"), "aborts.so");
  other.write("text.so", "text");
  other.write("readme.txt", "not a library");
  fs::create_directory(other.path() / "folder.so");
  installed.settings.paths = {other.path()};
  Registry registry(installed.settings);

  const std::vector<ModuleListing> list = registry.list();
  ASSERT_EQ(list.size(), 6u);
  EXPECT_EQ(list[0].file, installed.scratch.path() / "samplers/honest.so");
  EXPECT_EQ(list[0].verdict, "ok");
  EXPECT_EQ(list[0].description->options.size(), 2u);
  const auto verdict = [&](const char* name) {
    for (const ModuleListing& listing : list)
      if (listing.file.filename() == name) return listing.verdict;
    return std::string("not listed");
  };
  EXPECT_EQ(verdict("copy.so"), "has the name of " + list[0].file.string());
  EXPECT_THAT(verdict("wrong-major.so"), testing::StartsWith("needs ABI 2.0"));
  EXPECT_THAT(verdict("aborts.so"), testing::StartsWith("crashed while"));
  EXPECT_THAT(verdict("text.so"), testing::StartsWith("is not a shared library"));
  EXPECT_THAT(verdict("folder.so"), testing::StartsWith("is not a regular file"));
}

TEST(Registry, InstallFolderIsBesideTheProgram) {
  const std::string folder = install_folder().string();
  EXPECT_THAT(folder,
              AllOf(testing::EndsWith("/ropewalk"), HasSubstr("/lib"), Not(HasSubstr(".."))));
}

// In a child with an empty /proc, where the machine lets it have one.
TEST(ProgramPath, IsKnownWithoutProc) {
  const std::filesystem::path known = program_path();
  EXPECT_TRUE(std::filesystem::is_regular_file(known)) << known;
  constexpr int kNotAllowed = 77;
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(kNotAllowed);
    if (mount("none", "/proc", "tmpfs", 0, nullptr) != 0) _exit(kNotAllowed);
    _exit(program_path() == known ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotAllowed) GTEST_SKIP() << "no namespaces of one's own here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Check, TurnsEachStatusIntoItsExitCode) {
  const auto message = [](abi::StatusCode code) {
    return error_of([&] { check(abi::fail(code, "is full"), "cuda.so: compile"); });
  };
  EXPECT_EQ(message(abi::StatusCode::ok), "no error");
  EXPECT_EQ(message(abi::StatusCode::invalid_argument), "4 cuda.so: compile: is full.");
  EXPECT_EQ(message(abi::StatusCode::unsupported), "5 cuda.so: compile: is full.");
  EXPECT_EQ(message(abi::StatusCode::no_device), "5 cuda.so: compile: is full.");
  EXPECT_EQ(message(abi::StatusCode::out_of_memory), "6 cuda.so: compile: is full.");
  EXPECT_EQ(message(abi::StatusCode::device_lost), "7 cuda.so: compile: is full.");
  EXPECT_EQ(message(abi::StatusCode::internal), "4 cuda.so: compile: is full.");
  EXPECT_EQ(message(static_cast<abi::StatusCode>(77)), "4 cuda.so: compile: is full.");
  abi::Status endless;
  endless.code = abi::StatusCode::internal;
  for (char& c : endless.message) c = 'm';
  EXPECT_EQ(error_of([&] { check(endless, "x"); }), "4 x: " + std::string(252, 'm') + ".");
  EXPECT_EQ(error_of([] { check(abi::fail(abi::StatusCode::internal, ""), "x"); }),
            "4 x: failed without saying why.");
}

}  // namespace
}  // namespace ropewalk::test
