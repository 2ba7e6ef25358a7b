#include "core/base/error.h"

#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

TEST(Error, SaysWhereWhatAndWhatToDo) {
  const Error error(ExitCode::model, "config.json: hidden_size", "found 0, expected 1 to 65536",
                    "Download the file again");
  EXPECT_STREQ(error.what(),
               "config.json: hidden_size: found 0, expected 1 to 65536. Download the file again.");
  EXPECT_EQ(error.code(), ExitCode::model);
}

TEST(Error, HasNoAdviceWhereThereIsNone) {
  EXPECT_STREQ(Error(ExitCode::usage, "", "no command", "").what(), "no command.");
}

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable(std::string_view("nul\0end", 7)), "nul\\x00end");
  EXPECT_EQ(printable("\x7f\xff"), "\\x7f\\xff");
}

TEST(Printable, KeepsTextInAnyScript) {
  EXPECT_EQ(printable("größe 模型 🦙"), "größe 模型 🦙");
}

TEST(Printable, CutsLongNames) {
  const std::string name(1000, 'x');
  EXPECT_EQ(printable(name), std::string(120, 'x') + "...");
}

}  // namespace
}  // namespace ropewalk::test
