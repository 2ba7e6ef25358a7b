#include "core/http/target.h"

#include <algorithm>
#include <cctype>

#include "core/base/utf8.h"
#include "core/http/refused.h"

namespace ropewalk::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view path) {
  std::string decoded;
  decoded.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      decoded += path[i];
      continue;
    }
    const int high = i + 2 < path.size() ? hex_digit(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? hex_digit(path[i + 2]) : -1;
    if (high < 0 || low < 0)
      refuse_malformed("path: found " + in_quotes(path.substr(i, 3)) +
                       ", expected % and two hexadecimal digits");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

// Removes "http://authority" from the front of `rest` and returns the authority.
std::string take_authority(std::string_view& rest) {
  constexpr std::string_view kScheme = "http://";
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  if (rest.size() <= kScheme.size() || !std::equal(kScheme.begin(), kScheme.end(), rest.begin(),
                                                   [&](char b, char a) { return same(a, b); }))
    refuse_malformed("request target: found " + in_quotes(rest) +
                     ", expected a path that begins with /");
  rest.remove_prefix(kScheme.size());
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string authority(rest.substr(0, end));
  rest.remove_prefix(end);
  if (authority.empty() || authority.find('@') != std::string::npos)
    refuse_malformed("request target: the host of an absolute URL is empty or names a user");
  return authority;
}

}  // namespace

Target parse_target(std::string_view target, std::string_view method) {
  for (const char c : target)
    if (c <= ' ' || c > '~' || c == '#')
      refuse_malformed("request target: found " + in_quotes(target) +
                       ", expected printable ASCII without #");
  if (target == "*" && method == "OPTIONS") return {.path = "*", .query = {}, .authority = {}};

  Target parsed;
  if (!target.starts_with('/')) parsed.authority = take_authority(target);
  const size_t question = target.find('?');
  if (question != std::string_view::npos) parsed.query = target.substr(question + 1);
  parsed.path = decode(target.substr(0, question));
  if (parsed.path.empty()) parsed.path = "/";
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(parsed.path.begin(), parsed.path.end(), control) ||
      utf8_first_error(parsed.path) != std::string_view::npos)
    refuse_malformed("path: found " + in_quotes(parsed.path) +
                     " after decoding, expected UTF-8 without control characters");
  return parsed;
}

}  // namespace ropewalk::http
