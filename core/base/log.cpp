#include "core/base/log.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>

#include "core/base/error.h"
#include "core/base/standing_line.h"

namespace ropewalk {
namespace {

std::atomic<Verbosity> g_verbosity{Verbosity::normal};
std::atomic<bool> g_line_stands{false};

void say(std::string_view kind, std::string_view text) {
  // One write per line, so that lines of different threads do not mix.
  const char* erase = g_line_stands.exchange(false) ? kEraseLine : "";
  const std::string line = fmt::format("{}{}: {}\n", erase, kind, printable(text, 2000));
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace

void set_standing_line(bool stands) { g_line_stands = stands; }

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
