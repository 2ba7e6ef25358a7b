// new: the folder of a new plugin. tests/sdk builds and runs it.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "tests/apps/program.h"

namespace ropewalk::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(New, WritesAFolder) {
  const TemporaryFolder folder;
  for (const char* kind : {"sampler", "prompt-format", "rope-scaling"}) {
    const std::string name = std::string("my-") + kind;
    const Outcome outcome =
        run_program({"new", kind, name, "--into", folder.path().string(), "--model", "m"}, "");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("cmake -S " + (folder.path() / name).string()));
    EXPECT_THAT(outcome.out, HasSubstr(RW_PROGRAM " run " + (folder.path() / name).string()));
    const std::string source = read_file(folder.path() / name / (name + ".cpp"));
    EXPECT_LT(std::count(source.begin(), source.end(), '\n'), 40) << "a page at most";
    EXPECT_THAT(source,
                AllOf(HasSubstr("class My"), HasSubstr("\"" + name + "\""), Not(HasSubstr("@"))));
    for (const char* file : {"CMakeLists.txt", "test.cpp", "use.yaml"})
      EXPECT_THAT(read_file(folder.path() / name / file), AllOf(Not(""), Not(HasSubstr("@"))));
    EXPECT_THAT(read_file(folder.path() / name / "use.yaml"),
                HasSubstr("model: \"" + std::filesystem::absolute("m").string() + "\""));
  }
}

TEST(New, TakesNoNameThatIsTakenOrNone) {
  const TemporaryFolder folder;
  const auto refusal = [&](const char* kind, const char* name) {
    const Outcome outcome = run_program({"new", kind, name, "--into", folder.path().string()}, "");
    EXPECT_NE(outcome.code, 0);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    return outcome.err;
  };
  EXPECT_THAT(refusal("sampler", "top-p"), HasSubstr("there is a sampler called top-p already"));
  EXPECT_THAT(refusal("backend", "x"), HasSubstr("expected sampler, prompt-format or rope"));
  for (const char* name : {"", "../x", "My", "9x", "x-", "x y", "a.b"})
    EXPECT_THAT(refusal("sampler", name), HasSubstr("expected a lower-case letter")) << name;
}

TEST(New, OverwritesNothing) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "mine");
  const Outcome outcome =
      run_program({"new", "sampler", "mine", "--into", folder.path().string()}, "");
  EXPECT_EQ(outcome.code, 8);
  EXPECT_THAT(outcome.err, HasSubstr("mine: is there already"));
}

// docs/plugins.md repeats what the plugins declare. To update it:
//   ropewalk plugins --markdown > docs/plugins.md
TEST(Plugins, TheManualIsFresh) {
  const Outcome outcome = run_program({"plugins", "--markdown"}, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, read_file(RW_SOURCE_DIR "/docs/plugins.md"));
}

}  // namespace
}  // namespace ropewalk::test
