#include "apps/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "apps/signals.h"
#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = write(STDOUT_FILENO, text.data(), text.size());
    if (wrote >= 0) {
      text.remove_prefix(static_cast<size_t>(wrote));
    } else if (errno == EPIPE) {
      throw OutputClosed{};
    } else if (errno == EINTR) {
      throw_if_stopped();
    } else {
      throw Error(ExitCode::output, "standard output",
                  std::string("could not be written: ") + std::strerror(errno),
                  "Free some space or write elsewhere");
    }
  }
}

void print_json(const Json& json) {
  print(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

namespace {

void say(std::string_view kind, std::string_view text) {
  fmt::print(stderr, "{}: {}\n", kind, printable(text, 2000));
}

}  // namespace

void tell(std::string_view text) { say("note", text); }

void tell_wrong(std::string_view text) { say("warning", text); }

bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

namespace {

bool understands_escapes() {
  const char* term = std::getenv("TERM");
  return term && term != std::string_view("dumb");
}

}  // namespace

bool stderr_can_redraw() { return stderr_is_terminal() && understands_escapes(); }

// https://no-color.org: any value but an empty one.
bool stdout_shows_colour() {
  const char* none = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && understands_escapes() && !(none && *none);
}

bool stdin_is_terminal() { return isatty(STDIN_FILENO) == 1; }

}  // namespace ropewalk
