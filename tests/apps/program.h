// program.h — runs the built `ropewalk` as a child process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json.h"
#include "tests/files.h"

namespace ropewalk::test {

struct Outcome {
  int code = -1;   // exit code; -1: ended by a signal
  int signal = 0;  // that ended it; 0: it exited
  std::string out, err;
  double cpu_seconds = 0;  // that it has used

  Json json() const;  // of stdout; fails the test where it is not one line of JSON
};

// A small model without quantisation: quantised here, and adapters are for it.
inline const std::string kBase = RW_SOURCE_DIR "/models/airophin-mini-f16";

using Arguments = std::vector<std::string>;

// Runs to the end; kills it after a minute, and the test fails. `input` is its standard input.
Outcome run_program(const Arguments& arguments, std::string_view input);

// With stdout going to `file`, which is opened for writing and not made.
Outcome run_program_into(const std::filesystem::path& file, const Arguments& arguments);

// One that is still running: for signals and pipes.
class Program {
 public:
  explicit Program(const Arguments& arguments);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void write(std::string_view input);
  void close_input();
  void close_output();
  // Waits until stdout (stderr), from the beginning, has `text` in it or at least one byte where it
  // is empty. False where the program ended before, or after kPatience.
  bool wait_for_output(std::string_view text);
  bool wait_for_error(std::string_view text);
  // Waits until it would handle the signal. False after kPatience.
  bool wait_for_handler(int number) const;
  // Waits until it has used so much CPU time, which is how far it is on a busy machine too.
  bool wait_for_cpu_seconds(double seconds) const;
  double cpu_seconds() const;
  // What has come so far.
  const std::string& output() const { return outcome_.out; }
  // Returns when the program has it: the next one is another signal.
  void signal(int number) const;
  // Reads the rest of both streams and waits for the end; kills it after a minute.
  Outcome finish();

 private:
  bool pump(std::chrono::steady_clock::time_point until);
  bool wait_for(const std::string& stream, std::string_view text);

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;
  Outcome outcome_;
};

}  // namespace ropewalk::test
