// A line of the output: in OpenAI's form, and read back without its body.
#include <gmock/gmock.h>

#include "core/batch/result_line.h"
#include "core/json/json.h"
#include "tests/batch/questions.h"
#include "tests/error_of.h"

namespace ropewalk::test {
namespace {

using namespace batch;
using testing::EndsWith;
using testing::HasSubstr;

// The digits are of `echo -n q-1 | sha256sum`.
TEST(ResultLine, HasOpenAIsForm) {
  EXPECT_EQ(result_line("q-1", {.status = 200, .body = R"({"a":[1.5]})"}),
            R"({"id":"batch_req_8a3e90ba8a519e1e3e3da22b","custom_id":"q-1",)"
            R"("response":{"status_code":200,"request_id":"req_8a3e90ba8a519e1e3e3da22b",)"
            R"("body":{"a":[1.5]}},"error":null})"
            "\n");
}

TEST(ResultLine, IsReadBackWhateverTheNameIs) {
  for (const std::string& id :
       {std::string("q"), std::string(R"(","custom_id":"x","response":{"status_code":1)"),
        std::string("\\\"\\"), std::string("a\nb\tc\x01"),
        std::string("\xe2\x80\xa8 \xf0\x9f\xa6\x99")}) {
    std::string line = answer(id, 404);
    ASSERT_TRUE(line.ends_with('\n'));
    line.pop_back();
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(Json::parse(line)["custom_id"], id);
    EXPECT_EQ(Json::parse(line)["response"]["body"]["of"], id);
    const Result result = read_result(line, "f:1");
    EXPECT_EQ(result.custom_id, id);
    EXPECT_EQ(result.status, 404);
    EXPECT_TRUE(result.failed());
  }
}

// Every beginning of a line, and a line with a hole, as a crash of the machine may leave it.
TEST(ResultLine, RefusesWhatIsNotWhole) {
  std::string line = answer("q \" 1");
  line.pop_back();
  EXPECT_FALSE(read_result(line, "f:1").failed());
  for (size_t bytes = 0; bytes < line.size(); ++bytes)
    EXPECT_THAT(error_of([&] { read_result(line.substr(0, bytes), "f:1"); }),
                HasSubstr("2 f:1: is no whole line of `ropewalk batch`. Delete it"));
  std::string hole = line;
  hole[line.size() / 2] = '\0';
  EXPECT_NE(error_of([&] { read_result(hole, "f:1"); }), "no error");
  EXPECT_NE(error_of([&] { read_result(line + "}", "f:1"); }), "no error");
  EXPECT_NE(error_of([&] { read_result(R"({"custom_id":"a","error":null})", "f:1"); }), "no error");
}

}  // namespace
}  // namespace ropewalk::test
