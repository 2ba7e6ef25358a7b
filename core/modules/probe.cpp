// probe.cpp — the host's side of probe.h.
#include "core/modules/probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/descriptor.h"
#include "core/base/error.h"
#include "core/modules/door.h"
#include "core/modules/probe_record.h"
#include "core/modules/program_path.h"

extern char** environ;

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxRecord = 1 << 20;
constexpr std::string_view kAdvice = "Build or install it again, or remove it";

[[noreturn]] void refuse_library(const std::filesystem::path& file, std::string_view what) {
  throw Error(ExitCode::plugin, file.string(), what, kAdvice);
}

struct Pipe {
  Descriptor read_end, write_end;

  explicit Pipe(const std::filesystem::path& file) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      refuse_library(file, fmt::format("cannot be probed: no pipe: {}", std::strerror(errno)));
    read_end = Descriptor(ends[0]);
    write_end = Descriptor(ends[1]);
  }
};

// This process's environment with kProbeMark added.
std::vector<std::string> marked_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable; ++variable) variables.emplace_back(*variable);
  variables.push_back(std::string(kProbeMark) + "=1");
  return variables;
}

// The child has its own process group, so that its descendants can be killed with it. Its standard
// streams are /dev/null; only the pipe is open.
pid_t start_child(const std::filesystem::path& file, const ProbeSettings& settings,
                  const Pipe& pipe) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe.write_end.get(), kProbeDescriptor);
  posix_spawn_file_actions_addclosefrom_np(&actions, kProbeDescriptor + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);

  const std::string program =
      settings.program.empty() ? program_path().string() : settings.program.string();
  const std::string path = file.string();
  std::array<const char*, 5> arguments = {program.c_str(), kProbeArguments[0], kProbeArguments[1],
                                          path.c_str(), nullptr};
  std::vector<std::string> variables = marked_environment();
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  pid_t child = -1;
  const int error = posix_spawn(&child, program.c_str(), &actions, &attributes,
                                const_cast<char* const*>(arguments.data()), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    refuse_library(file, fmt::format("cannot be probed: {}: {}", program, std::strerror(error)));
  return child;
}

// A whole record, or everything until the pipe's other end is closed; nothing at the time limit.
// Processes that the library has started may keep that end open after the child has ended.
std::optional<std::string> read_answer(const Pipe& pipe, Clock::time_point deadline) {
  std::string record;
  std::array<char, 4096> chunk;
  while (record.size() <= kMaxRecord) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return std::nullopt;
    pollfd wanted{pipe.read_end.get(), POLLIN, 0};
    if (poll(&wanted, 1, static_cast<int>(left)) <= 0) continue;
    const ssize_t got = read(pipe.read_end.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    record.append(chunk.data(), static_cast<size_t>(got));
    if (decode_answer(record)) break;
  }
  return record;
}

// Waits for the child until the deadline and always kills its group. Returns its wait status, or
// nothing where it had to be killed. The group is killed before the child is reaped, while its id
// cannot be reused.
std::optional<int> end_child(pid_t child, Clock::time_point deadline) {
  const auto has_ended = [&] {
    siginfo_t info{};
    const int error = waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT);
    return error != 0 || info.si_pid == child;
  };
  bool ended = has_ended();
  while (!ended && Clock::now() < deadline) {
    usleep(500);
    ended = has_ended();
  }
  kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return ended ? std::optional(status) : std::nullopt;
}

}  // namespace

ModuleDescription probe_module(const std::filesystem::path& file, const ProbeSettings& settings) {
  check_door(file);
  if (std::getenv(kProbeMark))
    throw Error(ExitCode::plugin, file.string(), "cannot be probed from within a probe",
                "A program that looks for modules must hand over to probe_child() in main()");
  Pipe pipe(file);
  const pid_t child = start_child(file, settings, pipe);
  pipe.write_end.close();
  const auto deadline = Clock::now() + settings.limit;
  const std::optional<std::string> record = read_answer(pipe, deadline);
  const std::optional<int> status = end_child(child, record ? deadline : Clock::now());

  if (!status)
    refuse_library(file,
                   fmt::format("did not answer within {} ms while it was loaded to be looked at",
                               settings.limit.count()));
  if (WIFSIGNALED(*status))
    refuse_library(file, fmt::format("crashed while it was loaded to be looked at (signal {}, {})",
                                     WTERMSIG(*status), strsignal(WTERMSIG(*status))));
  const std::optional<ProbeAnswer> answer = decode_answer(record.value_or(""));
  if (!answer)
    refuse_library(
        file, fmt::format("ended the process while it was loaded to be looked at (exit code {})",
                          WEXITSTATUS(*status)));
  if (const auto* refusal = std::get_if<ProbeRefusal>(&*answer))
    throw Error(ExitCode::plugin, file.string(), refusal->reason, "");
  return std::get<ModuleDescription>(*answer);
}

ModuleDescription ProbeCache::probe(const std::filesystem::path& file,
                                    const ProbeSettings& settings) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0)
    refuse_library(file, fmt::format("cannot be opened: {}", std::strerror(errno)));
  const std::string stamp = fmt::format("{} {}.{} {}", status.st_size, status.st_mtim.tv_sec,
                                        status.st_mtim.tv_nsec, status.st_ino);
  const auto known = answers_.find(file);
  if (known != answers_.end() && known->second.stamp == stamp) return known->second.description;
  ModuleDescription description = probe_module(file, settings);
  answers_[file] = {stamp, description};
  return description;
}

}  // namespace ropewalk
