// The chat page as a document; tests/apps/serving/page_test.cpp has a browser use it.
#include "core/serve/page/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

using namespace serve;
using testing::HasSubstr;
using testing::Not;

TEST(Page, IsOneSmallDocumentThatLoadsNothing) {
  const std::string& html = chat_page().html;
  EXPECT_LE(html.size(), size_t{30} << 10);
  for (const char* part : {"<!doctype html>", "--paper:", "async function connect()", "</html>"})
    EXPECT_THAT(html, HasSubstr(part));
  // No mark is left, and the only address is the name of SVG's language.
  for (const char* outside : {"@page", "src=", "url(", "@import", "https://"})
    EXPECT_THAT(html, Not(HasSubstr(outside))) << outside;
  EXPECT_EQ(html.find("http://"), html.rfind("http://"));
  EXPECT_THAT(html, HasSubstr("xmlns='http://www.w3.org/2000/svg'"));
}

TEST(Page, RunsItsOwnScriptAlone) {
  const std::string& html = chat_page().html;
  const auto between = [&](const std::string& begin, const std::string& end) {
    const size_t at = html.find(begin) + begin.size();
    return html.substr(at, html.find(end, at) - at);
  };
  const std::string script = "script-src " + policy_digest(between("<script>", "</script>"));
  const std::string style = "style-src " + policy_digest(between("<style>", "</style>"));
  EXPECT_THAT(chat_page().policy, testing::StartsWith("default-src 'none'; " + script + ";"));
  EXPECT_THAT(chat_page().policy, HasSubstr(style + ";"));
  EXPECT_THAT(chat_page().policy, Not(HasSubstr("unsafe")));
}

// By `openssl dgst -sha256 -binary | base64`.
TEST(Page, NamesAScriptByItsDigest) {
  EXPECT_EQ(policy_digest(""), "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
  EXPECT_EQ(policy_digest("abc"), "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='");
}

}  // namespace
}  // namespace ropewalk::test
