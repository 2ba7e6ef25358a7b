// Closed-context prompts: the card's own, byte for byte, and what would break out of a block.
#include "core/text/closed_context.h"

#include <gmock/gmock.h>

#include "core/base/error.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

const ContextInput kBlueberries = {
    .where = "blueberries.txt",
    .metadata = {{"date", "2021-01-01"}, {"url", "https://web.site/123"}},
    .text =
        "In a shocking turn of events, blueberries are now green, but will be sticking with "
        "the same name.\n"};
const std::string kQuestion = "What color are bluberries?  Source?";

std::string prompt(const std::vector<ContextInput>& inputs,
                   const std::vector<std::string>& instructions) {
  try {
    return closed_context_prompt(inputs, instructions);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
}

// The example of jondurbin's and bhenrym14's model cards.
TEST(ClosedContext, IsTheCards) {
  EXPECT_EQ(prompt({kBlueberries}, {kQuestion}),
            "BEGININPUT\n"
            "BEGINCONTEXT\n"
            "date: 2021-01-01\n"
            "url: https://web.site/123\n"
            "ENDCONTEXT\n"
            "In a shocking turn of events, blueberries are now green, but will be sticking with "
            "the same name.\n"
            "ENDINPUT\n"
            "BEGININSTRUCTION\n"
            "What color are bluberries?  Source?\n"
            "ENDINSTRUCTION\n");
}

TEST(ClosedContext, TakesSeveralInputsAndInstructions) {
  EXPECT_EQ(prompt({{"a", {}, "one\n\n"}, {"b", {{"k", ""}}, "two"}}, {"first\n", "second"}),
            "BEGININPUT\nBEGINCONTEXT\nENDCONTEXT\none\n\nENDINPUT\n"
            "BEGININPUT\nBEGINCONTEXT\nk: \nENDCONTEXT\ntwo\nENDINPUT\n"
            "BEGININSTRUCTION\nfirst\nsecond\nENDINSTRUCTION\n");
}

TEST(ClosedContext, DelimitersInsideAreRefusedByNameAndLine) {
  for (const char* word : {"BEGININPUT", "BEGINCONTEXT", "ENDCONTEXT", "ENDINPUT",
                           "BEGININSTRUCTION", "ENDINSTRUCTION"}) {
    const std::string named = std::string("found ") + word + ", which would end or open a block";
    const std::string inside = std::string("x") + word + "y";
    EXPECT_THAT(prompt({{"f.txt", {}, "fine\n" + inside}}, {"q"}), HasSubstr("f.txt:2: " + named));
    EXPECT_THAT(prompt({{"f.txt", {{"k", inside}}, "t"}}, {"q"}),
                HasSubstr("f.txt: metadata k: " + named));
    EXPECT_THAT(prompt({{"f.txt", {{inside, "v"}}, "t"}}, {"q"}),
                HasSubstr("f.txt: metadata " + inside + ": " + named));
    EXPECT_THAT(prompt({kBlueberries}, {"q\n\n" + inside}), HasSubstr("instruction:3: " + named));
  }
  EXPECT_THAT(prompt({{"f", {}, "begininput ENDINPU T"}}, {"q"}), HasSubstr("BEGININPUT\n"));
}

TEST(ClosedContext, WhatIsMissingIsSaid) {
  EXPECT_THAT(prompt({}, {"q"}), HasSubstr("an instruction without an input"));
  EXPECT_THAT(prompt({kBlueberries}, {}), HasSubstr("inputs without an instruction"));
  EXPECT_THAT(prompt({kBlueberries}, {" \n"}), HasSubstr("instruction: is empty"));
  EXPECT_THAT(prompt({{"f.txt", {}, " \n"}}, {"q"}), HasSubstr("f.txt: is empty"));
}

TEST(ClosedContext, MetadataIsALineEach) {
  EXPECT_THAT(prompt({{"f", {{"", "v"}}, "t"}}, {"q"}), HasSubstr("a value without a key"));
  EXPECT_THAT(prompt({{"f", {{"a:b", "v"}}, "t"}}, {"q"}), HasSubstr("found the key a:b"));
  EXPECT_THAT(prompt({{"f", {{"k", "v\nENDCONTEXT"}}, "t"}}, {"q"}),
              HasSubstr("k has a line end in it"));
}

TEST(ClosedContext, PlainFormatFollowsOneSpace) {
  EXPECT_EQ(plain_instruction("Write a websocket application in node.js."),
            "Write a websocket application in node.js. PLAINFORMAT");
  EXPECT_EQ(plain_instruction("  two\nlines \n"), "two\nlines PLAINFORMAT");
  EXPECT_EQ(plain_instruction(" "), " PLAINFORMAT");
}

}  // namespace
}  // namespace ropewalk::test
