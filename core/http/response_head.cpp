#include "core/http/response_head.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <utility>

namespace ropewalk::http {
namespace {

std::string_view reason(int status) {
  static constexpr std::pair<int, std::string_view> kReasons[] = {
      {200, "OK"},
      {204, "No Content"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {417, "Expectation Failed"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {503, "Service Unavailable"},
      {505, "HTTP Version Not Supported"},
  };
  for (const auto& [code, text] : kReasons)
    if (code == status) return text;
  return "Other";
}

void add_header(std::string& head, std::string_view name, std::string_view value) {
  const auto put = [&head](std::string_view text) {
    for (const char c : text) {
      const bool control = (c >= 0 && c < 0x20 && c != '\t') || c == 0x7f;
      head += control ? '?' : c;
    }
  };
  put(name);
  head += ": ";
  put(value);
  head += "\r\n";
}

}  // namespace

std::string response_head(const Response& response, const HeadFacts& facts) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
  if (!response.content_type.empty()) add_header(head, "Content-Type", response.content_type);
  for (const Header& header : response.headers) add_header(head, header.name, header.value);
  add_header(head, "X-Request-Id", facts.id);
  add_header(head, "Date", facts.date);
  if (facts.close) add_header(head, "Connection", "close");
  if (response.status == 204) return head + "\r\n";
  if (facts.framing == Framing::chunked) add_header(head, "Transfer-Encoding", "chunked");
  if (facts.framing == Framing::length)
    add_header(head, "Content-Length", std::to_string(facts.length));
  return head + "\r\n";
}

std::string chunk(std::string_view data) {
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

std::string http_date() {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t now = std::time(nullptr);
  tm t{};
  gmtime_r(&now, &t);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays.at(t.tm_wday), t.tm_mday,
                     kMonths.at(t.tm_mon), t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace ropewalk::http
