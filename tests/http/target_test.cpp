#include "core/http/target.h"

#include <gtest/gtest.h>

#include "core/http/refused.h"
#include "core/http/router.h"

namespace ropewalk::test {
namespace {

using namespace http;

TEST(Target, IsTakenApart) {
  const Target plain = parse_target("/v1/models?a=%20b&c", "GET");
  EXPECT_EQ(plain.path, "/v1/models");
  EXPECT_EQ(plain.query, "a=%20b&c");
  EXPECT_EQ(plain.authority, "");
  EXPECT_EQ(parse_target("/a%2Fb%c3%a4+", "GET").path, "/a/b\xc3\xa4+");
  EXPECT_EQ(parse_target("/", "GET").path, "/");
  EXPECT_EQ(parse_target("/?", "GET").query, "");
  EXPECT_EQ(parse_target("//a", "GET").path, "//a");
  EXPECT_EQ(parse_target("*", "OPTIONS").path, "*");
}

TEST(Target, MayNameItsHost) {
  const Target absolute = parse_target("http://host:8000/path?q", "GET");
  EXPECT_EQ(absolute.authority, "host:8000");
  EXPECT_EQ(absolute.path, "/path");
  EXPECT_EQ(absolute.query, "q");
  EXPECT_EQ(parse_target("http://host", "GET").path, "/");
  EXPECT_EQ(parse_target("HTTP://host?q", "GET").query, "q");
}

TEST(Target, SaysWhatItRefuses) {
  const auto refusal = [](std::string_view target) -> std::string {
    try {
      parse_target(target, "GET");
    } catch (const Refused& refused) {
      return refused.what();
    }
    return "taken";
  };
  EXPECT_EQ(refusal("/a%2"), "path: found \"%2\", expected % and two hexadecimal digits");
  EXPECT_EQ(refusal("/%1f"),
            "path: found \"/\\x1f\" after decoding, expected UTF-8 without control characters");
  EXPECT_EQ(refusal("*"), "request target: found \"*\", expected a path that begins with /");
  EXPECT_EQ(refusal("http://"),
            "request target: found \"http://\", expected a path that begins with /");
  EXPECT_EQ(refusal("http:///p"),
            "request target: the host of an absolute URL is empty or names a user");
}

TEST(Router, FindsTheRouteOrSaysWhatThePathTakes) {
  const auto route = [](std::string method, std::string path) {
    return Route{std::move(method), std::move(path), RunOn::worker, Accepts::anything, {}};
  };
  const Router router({route("GET", "/a"), route("POST", "/a"), route("GET", "/a/*")});
  EXPECT_EQ(router.find("POST", "/a").route->method, "POST");
  EXPECT_EQ(router.find("HEAD", "/a").route->method, "GET");
  EXPECT_EQ(router.find("GET", "/a/b/c").rest, "b/c");
  EXPECT_EQ(router.find("PUT", "/a").route, nullptr);
  EXPECT_EQ(router.find("PUT", "/a").allow, "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(router.find("GET", "/b").allow, "");
  EXPECT_EQ(router.find("GET", "/a/").allow, "");
  EXPECT_EQ(router.find("get", "/a").route, nullptr);
}

}  // namespace
}  // namespace ropewalk::test
