#include "apps/signals.h"

#include <signal.h>
#include <unistd.h>

namespace ropewalk {
namespace {

// The handler's state; lock-free, hence safe in a handler.
std::atomic<bool> g_polled{false};
std::atomic<bool> g_raised{false};
std::atomic<int> g_signal{0};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

std::atomic<bool> g_reload{false};

void on_hangup(int) { g_reload = true; }

void on_signal(int signal) {
  if (!g_polled || g_raised) {
    // A progress bar may stand in the terminal's current line.
    if (isatty(STDERR_FILENO)) (void)!write(STDERR_FILENO, "\n", 1);
    _exit(128 + signal);
  }
  g_signal = signal;
  g_raised = true;
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;  // without SA_RESTART: a read of stdin must notice
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void stop_at_hangup() {
  struct sigaction action {};
  if (sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGHUP, &action, nullptr);
}

StopRequest::StopRequest() {
  g_raised = false;
  g_signal = 0;
  g_polled = true;
}

StopRequest::~StopRequest() {
  g_polled = false;
  g_raised = false;
}

const std::atomic<bool>& StopRequest::flag() const { return g_raised; }

int StopRequest::signal() const { return g_signal; }

ReloadRequest::ReloadRequest() {
  struct sigaction action {};
  action.sa_handler = on_hangup;
  sigemptyset(&action.sa_mask);
  sigaction(SIGHUP, &action, nullptr);
}

ReloadRequest::~ReloadRequest() { signal(SIGHUP, SIG_DFL); }

bool ReloadRequest::take() { return g_reload.exchange(false); }

void throw_if_stopped() {
  if (g_raised) throw Stopped{g_signal};
}

}  // namespace ropewalk
