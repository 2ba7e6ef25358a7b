// signals.h — what Ctrl-C does: by default it ends the program at once; while a StopRequest lives,
// it asks the running work to stop.
//
// Everything printed goes through write(2) and every file is replaced by a rename, so ending at
// once loses nothing. One thread only: the handlers are the process's.
#pragma once

#include <atomic>

namespace ropewalk {

// SIGINT ends the program with 130, SIGTERM with 143; writing to a closed pipe becomes an error of
// write(2) instead of a signal.
void install_signal_handlers();

// From here on SIGHUP, which a terminal sends when it is closed, is as SIGTERM; not where the
// program was started to ignore it (nohup).
void stop_at_hangup();

// Ends the command with 128 + signal; main() catches it.
struct Stopped {
  int signal;
};

// As long as it lives, the first SIGINT or SIGTERM raises its flag; the second ends the program.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  const std::atomic<bool>& flag() const;
  int signal() const;  // 0: none yet
};

// As long as it lives, SIGHUP asks to read files again instead of ending the program.
class ReloadRequest {
 public:
  ReloadRequest();
  ~ReloadRequest();
  ReloadRequest(const ReloadRequest&) = delete;
  ReloadRequest& operator=(const ReloadRequest&) = delete;

  bool take();  // whether it was asked for since the last call
};

// Throws Stopped where a StopRequest has been raised. For loops far from the StopRequest, and after
// system calls that a signal interrupted.
void throw_if_stopped();

}  // namespace ropewalk
