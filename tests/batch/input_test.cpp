// The input of a batch: what a line must be, which shard it belongs to, which seed it has.
#include "core/batch/batch_input.h"

#include "tests/batch/questions.h"
#include "tests/error_of.h"
#include "tests/files.h"

namespace ropewalk::test {
namespace {

using namespace batch;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> ids_of(const std::filesystem::path& file, const Shard& shard) {
  BatchInput input(file, shard);
  std::vector<std::string> ids;
  for (Question question; input.next(question);) ids.push_back(question.custom_id);
  return ids;
}

TEST(JsonlFile, GivesLinesOfAnyLengthWithTheirPlaces) {
  const TemporaryFolder folder;
  const std::string big(600'000, 'x');  // more than two buffers
  const auto file = folder.write("f", "a\n\n \t\r\n" + big + "\nlast");
  JsonlFile lines(file);
  std::string line;
  ASSERT_TRUE(lines.next(line));
  EXPECT_EQ(line, "a");
  EXPECT_EQ(lines.number(), 1u);
  ASSERT_TRUE(lines.next(line));
  EXPECT_EQ(line, big);
  EXPECT_EQ(lines.number(), 4u);
  EXPECT_EQ(lines.offset(), 7u);
  EXPECT_FALSE(lines.is_cut());
  ASSERT_TRUE(lines.next(line));
  EXPECT_EQ(line, "last");
  EXPECT_EQ(lines.where(), file.string() + ":5");
  EXPECT_EQ(lines.offset(), 7 + big.size() + 1);
  EXPECT_TRUE(lines.is_cut());
  EXPECT_FALSE(lines.next(line));
}

TEST(JsonlFile, RefusesWhatItCannotReadTwice) {
  const TemporaryFolder folder;
  expect_error(ExitCode::usage, HasSubstr("could not be read: No such file"),
               [&] { JsonlFile(folder.path() / "none"); });
  expect_error(ExitCode::usage, HasSubstr("is not a regular file"),
               [&] { JsonlFile{folder.path()}; });
}

TEST(BatchInput, ReadsOpenAIsLines) {
  const Question question = parse_question(
      R"({"custom_id":"q-1","method":"POST","url":"/v1/completions","body":{"prompt":"hi"},"x":1})",
      "f:1");
  EXPECT_EQ(question.custom_id, "q-1");
  EXPECT_EQ(question.method, "POST");
  EXPECT_EQ(question.url, "/v1/completions");
  EXPECT_EQ(question.body, Json({{"prompt", "hi"}}));
  // What is wrong here can be told in the answer.
  EXPECT_EQ(parse_question(R"({"custom_id":"q-1","url":5})", "f:1").url, "");
}

TEST(BatchInput, RefusesALineThatNoAnswerCouldName) {
  const auto refused = [](const std::string& line, const std::string& message) {
    expect_error(ExitCode::usage, AllOf(StartsWith("f:7: "), HasSubstr(message)),
                 [&] { parse_question(line, "f:7"); });
  };
  refused("{", "Correct the line");
  refused("5", "found 5, expected an object");
  refused("{}", "custom_id: is missing, expected");
  refused(R"({"custom_id":5})", "custom_id: found 5, expected");
  refused(R"({"custom_id":""})", "custom_id: found 0 bytes, expected 1 to 512");
  refused(R"({"custom_id":")" + std::string(513, 'x') + "\"}", "found 513 bytes");
  refused(R"({"custom_id":"a","custom_id":"b"})", "custom_id");
}

TEST(BatchInput, RefusesTwoLinesOfOneName) {
  const TemporaryFolder folder;
  const auto file = folder.write("f", question("a") + "\n" + question("b") + question("a"));
  EXPECT_EQ(error_of([&] { check_input(file, {}); }),
            "2 " + file.string() +
                ":4: found custom_id a, which line 1 has already, expected each once. Give each "
                "line a name of its own.");
}

TEST(BatchInput, SharesItsLinesAmongShards) {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "f", question("a") + question("b") + "\n" + question("c") + question("d") + question("e"));
  EXPECT_THAT(ids_of(file, {0, 1}), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(ids_of(file, {0, 2}), ElementsAre("a", "c", "e"));
  EXPECT_THAT(ids_of(file, {1, 2}), ElementsAre("b", "d"));
  EXPECT_THAT(ids_of(file, {6, 7}), ElementsAre());
  EXPECT_EQ(check_input(file, {1, 2}).questions, 2u);
  EXPECT_EQ(check_input(file, {0, 2}).digest, check_input(file, {1, 2}).digest);
  const auto other = folder.write("g", question("a") + question("B"));
  EXPECT_NE(check_input(file, {}).digest, check_input(other, {}).digest);
}

TEST(Shard, IsOneOfSoMany) {
  EXPECT_EQ(parse_shard("2/3").index, 2u);
  EXPECT_EQ(parse_shard("2/3").count, 3u);
  for (const char* bad : {"", "1", "3/3", "-1/3", "1/0", "1/x", "1/2/3", "0/1 "}) {
    SCOPED_TRACE(bad);
    expect_error(ExitCode::usage, HasSubstr("--shard: found"), [&] { parse_shard(bad); });
  }
}

// `echo -n q-1 | sha256sum` begins with 8a3e90ba8a519e1e.
TEST(Seed, IsTheNamesHashWhereTheBodyHasNone) {
  EXPECT_EQ(seed_of("q-1"), 0x8a3e90ba8a519e1eu);
  const auto seed = [](const char* body) {
    return body_with_seed({.custom_id = "q-1", .method = {}, .url = {}, .body = Json::parse(body)})
        .value("seed", Json());
  };
  for (const char* none : {"{}", R"({"seed":null})", R"({"seed":-1})", R"({"sampler_seed":-1})"})
    EXPECT_EQ(seed(none), 0x8a3e90ba8a519e1eu) << none;
  EXPECT_EQ(seed(R"({"seed":0})"), 0);
  EXPECT_EQ(seed(R"({"seed":"x"})"), "x");            // the endpoint refuses it
  EXPECT_EQ(seed(R"({"sampler_seed":7})"), nullptr);  // stays the only one
  EXPECT_EQ(body_with_seed({.custom_id = "q", .method = {}, .url = {}, .body = 5}), 5);
}

}  // namespace
}  // namespace ropewalk::test
