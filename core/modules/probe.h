// probe.h — loads a strange library in a child process first. One that crashes, hangs or exits
// while it is loaded only ends the child.
//
// The child is this program itself, started with kProbeArguments and the file's path; it must hand
// over to probe_child(). A program that forgets to would start children without end: kProbeMark in
// the environment stops that. The library's output is discarded: the answer comes through a
// separate pipe.
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>

#include "core/modules/description.h"

namespace ropewalk {

// PROGRAM plugins --probe FILE
inline constexpr std::array<const char*, 2> kProbeArguments = {"plugins", "--probe"};

// Set in the child; where it is set, probe_module() starts nothing.
inline constexpr const char* kProbeMark = "ROPEWALK_PROBE";

// The child's descriptor of the pipe for its answer.
inline constexpr int kProbeDescriptor = 3;

struct ProbeSettings {
  std::filesystem::path program = {};  // empty: the one that runs
  std::chrono::milliseconds limit = std::chrono::seconds(5);
};

// The child's side: loads the library, makes and releases one object of it with default options
// (backends excepted: starting a driver takes seconds) and reports. Returns the exit code for
// main(), after which nothing may run: call _exit() with it.
int probe_child(const std::filesystem::path& file);

// The host's side. Throws Error(plugin): crashed (with the signal's name), did not answer within
// the limit, exited, or the child's reason to refuse the library.
ModuleDescription probe_module(const std::filesystem::path& file, const ProbeSettings& settings);

// Answers by (path, size, modification time, inode), for the life of the process.
class ProbeCache {
 public:
  ModuleDescription probe(const std::filesystem::path& file, const ProbeSettings& settings);

 private:
  struct Answer {
    std::string stamp;
    ModuleDescription description;
  };
  std::map<std::filesystem::path, Answer> answers_;
};

}  // namespace ropewalk
