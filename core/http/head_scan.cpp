#include "core/http/head_scan.h"

#include <string>

#include "core/http/refused.h"

namespace ropewalk::http {

HeadScan::HeadScan(const Limits& limits) : limits_(&limits) {}

bool HeadScan::scan(std::string_view bytes) {
  while (at_ < bytes.size()) {
    const auto c = static_cast<unsigned char>(bytes[at_++]);
    if (after_cr_) {
      if (c != '\n') refuse_malformed("request head: found a carriage return without a line feed");
      after_cr_ = false;
      if (end_line()) return true;
    } else if (c == '\r') {
      after_cr_ = true;
    } else {
      check(c);
    }
  }
  return false;
}

void HeadScan::check(unsigned char c) {
  if (c == '\n') refuse_malformed("request head: found a line feed without a carriage return");
  if ((c < 0x20 && c != '\t') || c == 0x7f)
    refuse_malformed("request head: found the control byte " + std::to_string(int{c}));
  if (line_ > 0 && column_ == 0 && (c == ' ' || c == '\t'))
    refuse_malformed("request head: found a header that is continued on the next line");
  ++column_;
  if (line_ == 0 && column_ > limits_->request_line)
    refuse(414, "url_too_long",
           "request line: longer than " + std::to_string(limits_->request_line) + " bytes");
  if (line_ > 0 && ++headers_ > limits_->header_bytes)
    refuse(431, "headers_too_large",
           "request headers: more than " + std::to_string(limits_->header_bytes) + " bytes");
}

bool HeadScan::end_line() {
  if (column_ == 0 && line_ > 0) return true;
  if (column_ == 0) {
    // Some clients send one empty line after the body of the request before.
    if (begin_ > 0) refuse_malformed("request head: begins with two empty lines");
    begin_ = at_;
    return false;
  }
  if (line_ > limits_->headers)
    refuse(431, "headers_too_large",
           "request headers: more than " + std::to_string(limits_->headers) + " of them");
  ++line_;
  column_ = 0;
  return false;
}

}  // namespace ropewalk::http
