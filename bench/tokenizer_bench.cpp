// tokenizer_bench — processor time to make ids of a file's text, and to open the tokenizer, on one
// thread.
//
//   tokenizer_bench MODEL_DIR FILE [ROUNDS]   times, beside tools/tokenizer_json/speed.py's
//   tokenizer_bench MODEL_DIR --lines         JSON texts, one a line of standard input, to a line
//                                             [ids, decoded, ids as_text] each: for
//                                             tools/tokenizer_json/compare.py
//
// The model of what is possible: a pass of the pattern over the text at the 60 to 70 MB/s that
// PCRE2's compiled code reaches, since all else happens once a word.
#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json.h"
#include "core/text/tokenizer.h"

namespace {

using namespace ropewalk;

double seconds_of(auto&& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);  // other programs disturb it least
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double begin = now();
  work();
  return now() - begin;
}

long peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void print_times(std::string_view what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  fmt::print("{}: min {:.4f} s, median {:.4f} s, max {:.4f} s of {} rounds\n", what, times.front(),
             times[times.size() / 2], times.back(), times.size());
}

void measure(const std::string& model_dir, const std::string& file, int rounds) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.empty()) throw std::runtime_error("nothing to read in " + file);
  const long before = peak_megabytes();
  std::vector<double> opening, encoding;
  for (int i = 0; i < rounds; ++i)
    opening.push_back(seconds_of([&] { Tokenizer::open(model_dir, {}); }));
  const Tokenizer tokenizer = Tokenizer::open(model_dir, {});
  const long opened = peak_megabytes();
  size_t count = 0;
  for (int i = 0; i < rounds; ++i) {
    encoding.push_back(
        seconds_of([&] { count = tokenizer.encode_text(text, SpecialTokens::as_text).size(); }));
  }
  print_times("open", opening);
  print_times("encode", encoding);
  const double best = *std::min_element(encoding.begin(), encoding.end());
  fmt::print(
      "{} bytes, {} ids, {:.1f} MB/s at best; opening took {} MB more than the {} MB before\n",
      text.size(), count, static_cast<double>(text.size()) / best / 1e6, opened - before, before);
}

void encode_lines(const std::string& model_dir) {
  const Tokenizer tokenizer = Tokenizer::open(model_dir, {});
  for (std::string line; std::getline(std::cin, line);) {
    const auto text = parse_json(line, {"line", ExitCode::usage}).get<std::string>();
    const std::vector<int32_t> ids = tokenizer.encode_text(text, SpecialTokens::parse);
    const Json row = {ids, tokenizer.decode(ids),
                      tokenizer.encode_text(text, SpecialTokens::as_text)};
    std::cout << row.dump() << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: {} MODEL_DIR (FILE [ROUNDS] | --lines)\n", argv[0]);
    return 2;
  }
  try {
    if (std::string_view(argv[2]) == "--lines")
      encode_lines(argv[1]);
    else
      measure(argv[1], argv[2], argc > 3 ? std::max(std::atoi(argv[3]), 1) : 9);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  return 0;
}
