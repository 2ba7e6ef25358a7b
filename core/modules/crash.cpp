#include "core/modules/crash.h"

#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "core/base/error.h"

namespace ropewalk {
namespace {

constexpr int kMaxFrames = 128;
constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// A loaded file's place in memory. Plain arrays: a handler must not allocate or lock.
struct Image {
  uintptr_t begin = 0, end = 0;
  std::array<char, 1024> file = {};

  bool holds(const void* address) const {
    const auto place = reinterpret_cast<uintptr_t>(address);
    return place >= begin && place < end;
  }
};

std::array<Image, 256> g_modules;
std::atomic<size_t> g_count{0};  // of g_modules that are filled
Image g_program;
std::terminate_handler g_terminate = nullptr;
std::array<struct sigaction, NSIG> g_before;  // by signal

Image image_around(const void* inside) {
  Image found;
  found.begin = reinterpret_cast<uintptr_t>(inside);
  const auto look = [](dl_phdr_info* info, size_t, void* data) {
    Image& image = *static_cast<Image*>(data);
    uintptr_t begin = UINTPTR_MAX, end = 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = info->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD) continue;
      begin = std::min<uintptr_t>(begin, info->dlpi_addr + segment.p_vaddr);
      end = std::max<uintptr_t>(end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
    }
    if (image.begin < begin || image.begin >= end) return 0;
    image.begin = begin;
    image.end = end;
    return 1;
  };
  dl_iterate_phdr(look, &found);
  return found;
}

// The module of the innermost frame that is a module's or the program's; nullptr: the program's, or
// none. Frames before `first` are the handler's own.
const Image* culprit(void* const* frames, int count, int first) {
  for (int i = first; i < count; ++i) {
    if (g_program.holds(frames[i])) return nullptr;
    for (size_t m = 0; m < g_count; ++m)
      if (g_modules[m].holds(frames[i])) return &g_modules[m];
  }
  return nullptr;
}

// Ends the program. `what` says how it crashed.
[[noreturn]] void blame(const Image& module, const char* what) {
  char text[1600];
  const int length = std::snprintf(
      text, sizeof text,
      "error: %s: %s. Rebuild it against this version, or remove it from the configuration.\n",
      module.file.data(), what);
  (void)!write(STDERR_FILENO, text, static_cast<size_t>(std::min(length, 1599)));
  _exit(static_cast<int>(ExitCode::plugin));
}

void* program_counter(const ucontext_t& context) {
#if defined(__x86_64__)
  return reinterpret_cast<void*>(context.uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<void*>(context.uc_mcontext.pc);
#else
  return nullptr;
#endif
}

void on_crash(int signal, siginfo_t* info, void* context) {
  void* frames[kMaxFrames];
  const int count = backtrace(frames, kMaxFrames);
  void* const stopped = program_counter(*static_cast<ucontext_t*>(context));
  const auto at = std::find(frames, frames + count, stopped);
  const int first = at == frames + count ? 1 : static_cast<int>(at - frames);
  if (const Image* module = culprit(frames, count, first)) {
    char what[64];
    std::snprintf(what, sizeof what, "crashed in its own code (signal %d)", signal);
    blame(*module, what);
  }
  sigaction(signal, &g_before[static_cast<size_t>(signal)], nullptr);
  if (info->si_code <= 0) raise(signal);  // else the instruction runs again, and crashes again
}

[[noreturn]] void on_terminate() {
  void* frames[kMaxFrames];
  const int count = backtrace(frames, kMaxFrames);
  if (const Image* module = culprit(frames, count, 1)) {
    char what[512] = "threw an exception out of a function that must not throw";
    try {
      if (std::current_exception()) throw;
    } catch (const std::exception& error) {
      std::snprintf(what, sizeof what, "threw \"%.300s\" out of a function that must not throw",
                    printable(error.what(), 300).c_str());
    } catch (...) {  // its type may be known only to the library
    }
    blame(*module, what);
  }
  if (g_terminate) g_terminate();
  std::abort();
}

}  // namespace

void install_crash_handlers() {
  g_program = image_around(reinterpret_cast<const void*>(&install_crash_handlers));
  void* frame = nullptr;
  backtrace(&frame, 1);  // loads what it needs now, not in a handler
  g_terminate = std::set_terminate(on_terminate);
  static std::array<char, size_t{64} << 10> stack;  // for a crash by a stack that is full
  const stack_t alternative{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  sigaltstack(&alternative, nullptr);
  for (const int crash : kCrashes) {
    struct sigaction action {};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(crash, &action, &g_before[static_cast<size_t>(crash)]);
  }
}

void remember_module(const std::filesystem::path& file, const void* inside) {
  const size_t place = g_count;
  if (place == g_modules.size()) return;
  Image& image = g_modules[place];
  image = image_around(inside);
  std::strncpy(image.file.data(), printable(file.string(), image.file.size() - 1).c_str(),
               image.file.size() - 1);
  g_count = place + 1;
}

}  // namespace ropewalk
