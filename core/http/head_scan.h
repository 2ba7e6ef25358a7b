// head_scan.h — finds the end of a request's head and refuses what servers read differently.
//
// A proxy and a server that disagree about where a request ends let a client smuggle a second one
// past the proxy. So ambiguous heads are refused before the parser sees them: a line feed or a
// carriage return alone, NUL and other control bytes, and header lines that are continued by a
// space (obs-fold). Also checks the limits of the request line and of the headers, even before the
// head is complete. Source: RFC 9112, sections 2.2, 5.2 and 11.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/http/limits.h"

namespace ropewalk::http {

class HeadScan {
 public:
  explicit HeadScan(const Limits& limits);

  // `bytes` are all bytes of the request so far, those scanned before included. True once the head
  // is complete. Throws Refused: 400, 414, 431.
  bool scan(std::string_view bytes);

  // The head: from the request line to the empty line, both included.
  size_t begin() const { return begin_; }
  size_t end() const { return at_; }

 private:
  bool end_line();  // whether it was the empty line after the headers
  void check(unsigned char c);

  const Limits* limits_;
  size_t begin_ = 0, at_ = 0;
  uint32_t line_ = 0;   // 0 is the request line
  size_t column_ = 0;   // bytes of this line so far
  size_t headers_ = 0;  // bytes of all header lines so far
  bool after_cr_ = false;
};

}  // namespace ropewalk::http
