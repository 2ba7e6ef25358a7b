// main.cpp — runs a command, and turns an Error into a line on stderr and an exit code.
#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <new>
#include <string_view>

#include "apps/command_line.h"
#include "apps/output.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/modules/crash.h"
#include "core/modules/probe.h"

namespace {

using namespace ropewalk;

// An internal failure: EX_SOFTWARE of sysexits.h.
constexpr int kBug = 70;

int say(std::string_view error, int code) {
  fmt::print(stderr, "error: {}\n", error);
  return code;
}

bool is_probe(int argc, char** argv) {
  return argc == 4 && argv[1] == std::string_view(kProbeArguments[0]) &&
         argv[2] == std::string_view(kProbeArguments[1]);
}

int guarded_main(int argc, char** argv) {
  try {
    return parse_command_line(argc, argv)();
  } catch (const OutputClosed&) {
    return static_cast<int>(ExitCode::ok);
  } catch (const Stopped& stopped) {
    return 128 + stopped.signal;
  } catch (const Error& error) {
    return say(error.what(), static_cast<int>(error.code()));
  } catch (const std::bad_alloc&) {
    return say("the host's memory is exhausted. Close other programs, or lower context.length.",
               static_cast<int>(ExitCode::out_of_memory));
  } catch (const std::exception& error) {
    return say(fmt::format("internal: {}. This is a bug in Ropewalk: please report it with the "
                           "command that you gave.",
                           printable(error.what(), 1000)),
               kBug);
  }
}

}  // namespace

int main(int argc, char** argv) {
  // First of all: the child that probes a strange library must not run anything else.
  if (is_probe(argc, argv)) _exit(probe_child(argv[3]));
  install_signal_handlers();
  install_crash_handlers();
  return guarded_main(argc, argv);
}
