#include "tests/apps/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>

#include "tests/cpu_time.h"
#include "tests/patience.h"

namespace ropewalk::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLimit = 2 * kPatience;

struct Streams {
  int in, out, err;
};

[[noreturn]] void become(const Arguments& arguments, const Streams& streams) {
  dup2(streams.in, STDIN_FILENO);
  dup2(streams.out, STDOUT_FILENO);
  dup2(streams.err, STDERR_FILENO);
  std::vector<char*> argv;
  std::string program = RW_PROGRAM;
  argv.push_back(program.data());
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(127);
}

// {reading end, writing end}, neither inherited but by dup2().
std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "no pipe";
  return ends;
}

void close_one(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

// Appends what has come; false at the end.
bool take(int& fd, std::string& into) {
  std::array<char, 1 << 16> buffer;
  const ssize_t count = read(fd, buffer.data(), buffer.size());
  if (count > 0) into.append(buffer.data(), static_cast<size_t>(count));
  if (count <= 0) close_one(fd);
  return count > 0;
}

// Whether the mask of that name in /proc/PID/status has the signal. A process that has ended has
// none; the kernel may leave a signal in its mask.
bool has_signal(pid_t pid, std::string_view mask, int number) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("State:") && line.find('Z') != std::string::npos) return false;
    if (line.starts_with(mask))
      return std::stoull(line.substr(mask.size() + 1), nullptr, 16) >> (number - 1) & 1;
  }
  return false;
}

double seconds_in(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

Json Outcome::json() const {
  if (out.empty() || out.find('\n') != out.size() - 1 || !Json::accept(out)) {
    ADD_FAILURE() << "not one line of JSON: " << out << "\nstderr: " << err;
    return {};
  }
  return Json::parse(out);
}

Program::Program(const Arguments& arguments) {
  const auto in = make_pipe(), out = make_pipe(), err = make_pipe();
  pid_ = fork();
  // To kill() -1 is everybody.
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) become(arguments, {in[0], out[1], err[1]});
  close(in[0]);
  close(out[1]);
  close(err[1]);
  in_ = in[1];
  out_ = out[0];
  err_ = err[0];
}

Program::~Program() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close_input();
  close_one(out_);
  close_one(err_);
}

void Program::write(std::string_view input) {
  ::signal(SIGPIPE, SIG_IGN);
  while (!input.empty()) {
    const ssize_t count = ::write(in_, input.data(), input.size());
    if (count <= 0) return;  // it has stopped reading
    input.remove_prefix(static_cast<size_t>(count));
  }
}

void Program::close_input() { close_one(in_); }
void Program::close_output() { close_one(out_); }
bool Program::wait_for_handler(int number) const {
  return eventually([&] { return has_signal(pid_, "SigCgt", number); });
}

double Program::cpu_seconds() const {
  clockid_t clock{};
  return clock_getcpuclockid(pid_, &clock) == 0 ? seconds_of(clock) : 0;
}

bool Program::wait_for_cpu_seconds(double seconds) const {
  return eventually([&] { return cpu_seconds() >= seconds; });
}

void Program::signal(int number) const {
  if (pid_ <= 0) return;
  kill(pid_, number);
  EXPECT_TRUE(eventually([&] { return !has_signal(pid_, "ShdPnd", number); }));
}

// Takes what comes until `until`; false where nothing more can come.
bool Program::pump(Clock::time_point until) {
  std::array<pollfd, 2> streams{pollfd{out_, POLLIN, 0}, pollfd{err_, POLLIN, 0}};
  if (out_ < 0 && err_ < 0) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
  if (left.count() <= 0) return false;
  poll(streams.data(), streams.size(), static_cast<int>(left.count()));
  if (streams[0].revents != 0) take(out_, outcome_.out);
  if (streams[1].revents != 0) take(err_, outcome_.err);
  return true;
}

bool Program::wait_for(const std::string& stream, std::string_view text) {
  const auto until = Clock::now() + kPatience;
  const auto there = [&] {
    return text.empty() ? !stream.empty() : stream.find(text) != std::string::npos;
  };
  while (!there() && pump(until)) continue;
  return there();
}

bool Program::wait_for_output(std::string_view text) { return wait_for(outcome_.out, text); }
bool Program::wait_for_error(std::string_view text) { return wait_for(outcome_.err, text); }

Outcome Program::finish() {
  close_input();
  const auto until = Clock::now() + kLimit;
  while (pump(until)) continue;
  if (Clock::now() >= until) {
    ADD_FAILURE() << "killed after a minute";
    kill(pid_, SIGKILL);
  }
  int status = 0;
  rusage used{};
  wait4(pid_, &status, 0, &used);
  pid_ = -1;
  if (WIFEXITED(status)) outcome_.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
  outcome_.cpu_seconds = seconds_in(used.ru_utime) + seconds_in(used.ru_stime);
  return outcome_;
}

Outcome run_program(const Arguments& arguments, std::string_view input) {
  Program program(arguments);
  program.write(input);
  return program.finish();
}

Outcome run_program_into(const std::filesystem::path& file, const Arguments& arguments) {
  const int out = open(file.c_str(), O_WRONLY | O_CLOEXEC);
  auto err = make_pipe();
  const pid_t pid = fork();
  if (pid == 0) become(arguments, {open("/dev/null", O_RDONLY), out, err[1]});
  close(out);
  close(err[1]);
  Outcome outcome;
  while (take(err[0], outcome.err)) continue;
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}

}  // namespace ropewalk::test
