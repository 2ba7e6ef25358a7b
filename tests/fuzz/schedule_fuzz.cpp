// schedule_fuzz.cpp — a schedule made from the input (tests/schedule/play.h): no page is lost or
// shared with the wrong text, everything ends, and everybody says what they would say alone.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/schedule/play.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk::test;
  static TinyModel tiny({64, 16, 8, 16});
  const std::string fault = play(tiny, {data, size});
  if (fault.empty()) return 0;
  std::fprintf(stderr, "%s\n", fault.c_str());
  std::abort();
}
