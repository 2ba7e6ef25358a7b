// modules_test.h — what the tests of this room share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/base/error.h"
#include "core/modules/registry.h"

namespace ropewalk {

namespace fs = std::filesystem;

inline fs::path liar(const std::string& name) { return fs::path(RW_LIARS) / (name + ".so"); }

// A folder of one test, gone with it.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (fs::temp_directory_path() / "rw_modules_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { fs::remove_all(path_); }

  const fs::path& path() const { return path_; }
  fs::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }
  fs::path copy(const fs::path& file, const fs::path& name) const {
    fs::create_directories((path_ / name).parent_path());
    fs::copy_file(file, path_ / name);
    return path_ / name;
  }

 private:
  fs::path path_;
};

inline std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Sanitizers in the child would turn its signals into exit codes.
inline ProbeSettings probe_settings() {
  setenv("ASAN_OPTIONS", "handle_abort=0:handle_segv=0:handle_sigbus=0", 1);
  return {.program = RW_PROBE_PROGRAM, .limit = std::chrono::seconds(20)};
}

inline RegistrySettings settings_for(const std::vector<fs::path>& paths) {
  return {.install_folder = "/nonexistent", .paths = paths, .probe = probe_settings()};
}

// The message of the Error that `body` throws, and its code in front: "4 FILE: is empty ...".
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return "no error";
}

}  // namespace ropewalk
