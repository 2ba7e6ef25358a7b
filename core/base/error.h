// error.h — how the core reports a failure: one exception type, one sentence, one exit code.
//
// Inside the core a failure is thrown as an Error. It is caught in one place, the program's main(),
// which prints it as a single line and ends with its code:
//
//   error: WHERE: what is wrong, found X, expected Y. What to do.
//
// Modules never see it: their failures arrive as abi Status values and become Errors in
// core/modules (check()).
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace ropewalk {

// The process's exit codes, a public promise (docs/cli.md). Names say what failed.
enum class ExitCode : int {
  ok = 0,
  usage = 2,          // command line or configuration
  model = 3,          // a model file is bad or unreadable
  plugin = 4,         // a plugin or backend library
  no_device = 5,      // no usable device, or a feature it lacks
  out_of_memory = 6,  // host or device
  device_lost = 7,    // device lost or faulted
  output = 8,         // output could not be written
  non_finite = 9,     // NaN or infinity where a number must be
  limit = 10,         // the prompt does not fit, or another limit
};

class Error : public std::runtime_error {
 public:
  // `where` is a file, optionally with line:column, a tensor or a field ("config.json:
  // hidden_size"). `what` is a clause without its full stop, with what was found and what was
  // expected. `advice` is what the user can do, a sentence without its full stop; may be empty.
  // Control bytes in all three are escaped (\x1b) and names longer than 120 bytes cut, because they
  // may come from a hostile file and end up on a terminal.
  Error(ExitCode code, std::string_view where, std::string_view what, std::string_view advice);

  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// `name` with control bytes, DEL and invalid UTF-8 escaped as \xNN and at most `limit` bytes of it,
// "..." marking the cut. For quoting names and values found in files.
std::string printable(std::string_view name, size_t limit);
std::string printable(std::string_view name);  // limit 120

}  // namespace ropewalk
