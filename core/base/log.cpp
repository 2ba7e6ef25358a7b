#include "core/base/log.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>

#include "core/base/error.h"

namespace ropewalk {
namespace {

std::atomic<Verbosity> g_verbosity{Verbosity::normal};

void say(std::string_view kind, std::string_view text) {
  // One write per line, so that lines of different threads do not mix.
  const std::string line = fmt::format("{}: {}\n", kind, printable(text, 2000));
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace

void set_verbosity(Verbosity verbosity) { g_verbosity = verbosity; }

void warn(std::string_view text) {
  if (g_verbosity != Verbosity::quiet) say("warning", text);
}

void note(std::string_view text) {
  if (g_verbosity != Verbosity::quiet) say("note", text);
}

void verbose(std::string_view text) {
  if (g_verbosity == Verbosity::verbose) say("note", text);
}

}  // namespace ropewalk
