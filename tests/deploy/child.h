// child.h — a program of somebody else that runs as long as the object is there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ropewalk::test {

// The path of a program, also of one for administrators; empty where it is not installed.
std::filesystem::path find_program(const std::string& name);

// A port of 127.0.0.1 that nobody listens on now.
uint16_t free_port();

class Child {
 public:
  // What it says goes to `log`.
  Child(const std::filesystem::path& program, std::vector<std::string> arguments,
        const std::filesystem::path& log);
  ~Child();  // ended by SIGTERM
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool ended();

 private:
  pid_t pid_ = -1;
};

}  // namespace ropewalk::test
