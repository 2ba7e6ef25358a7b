// Shards become one file only where nothing is missing and nothing is there twice.
#include "core/batch/merge.h"

#include <vector>

#include "tests/batch/questions.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

class Merge : public testing::Test {
 protected:
  // What is said of parts with these contents.
  std::string merge(const std::vector<std::string>& contents) {
    std::vector<std::filesystem::path> parts;
    for (const std::string& content : contents)
      parts.push_back(folder_.write("part" + std::to_string(parts.size()), content));
    return error_of([&] { merged_ = batch::merge(input_, parts, output_); });
  }

  TemporaryFolder folder_;
  std::filesystem::path input_ =
      folder_.write("in", question("a") + question("b") + "\n" + question("c") + question("d"));
  std::filesystem::path output_ = folder_.write("out", "old");
  batch::Merged merged_;
};

TEST_F(Merge, HasTheInputsOrder) {
  EXPECT_EQ(merge({answer("d") + answer("b"), "", answer("c", 400) + answer("a")}), "no error");
  EXPECT_EQ(read_file(output_), answer("a") + answer("b") + answer("c", 400) + answer("d"));
  EXPECT_EQ(merged_.lines, 4u);
  EXPECT_EQ(merged_.failed, 1u);
}

TEST_F(Merge, RefusesWhatIsNotTheWhole) {
  EXPECT_EQ(merge({answer("a"), answer("b")}),
            "2 " + input_.string() +
                ": 2 of 4 lines have no answer, the first is line 4, c. Name the outputs of all "
                "shards, or run the one that lacks it again.");
  const std::string all = answer("a") + answer("b") + answer("c") + answer("d");
  EXPECT_THAT(merge({all, answer("b")}), HasSubstr("part1:1: answers b a second time, after "));
  EXPECT_THAT(merge({all + answer("e")}), HasSubstr("part0:5: answers e, which "));
  EXPECT_THAT(merge({all.substr(0, all.size() - 1)}), HasSubstr("part0:4: is unfinished"));
  EXPECT_THAT(merge({"{}\n" + all}), HasSubstr("part0:1: is no whole line"));
  EXPECT_EQ(read_file(output_), "old");
}

}  // namespace
}  // namespace ropewalk::test
