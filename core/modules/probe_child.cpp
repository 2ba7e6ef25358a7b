// probe_child.cpp — the child's side of probe.h.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "core/abi/prompt_format.h"
#include "core/abi/rope_scaling.h"
#include "core/abi/sampler.h"
#include "core/base/error.h"
#include "core/modules/door.h"
#include "core/modules/library.h"
#include "core/modules/probe.h"
#include "core/modules/probe_record.h"

namespace ropewalk {
namespace {

// Moves the answer's pipe to a descriptor that the library does not know, so that its output to
// the usual ones is not taken for the answer.
int take_answer_pipe() {
  constexpr int kFirstFreeNumber = 100;
  const int pipe = fcntl(kProbeDescriptor, F_DUPFD_CLOEXEC, kFirstFreeNumber);
  close(kProbeDescriptor);
  return pipe;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return true;
}

void create_one(const Library& library) {
  const PluginChoice defaults{.name = library.description().name, .key = "probe"};
  switch (library.description().kind) {
    case abi::ModuleKind::sampler:
      library.create<abi::Sampler>(defaults, nullptr);
      break;
    case abi::ModuleKind::prompt_format:
      library.create<abi::PromptFormat>(defaults, nullptr);
      break;
    case abi::ModuleKind::rope_scaling:
      library.create<abi::RopeScaling>(defaults, nullptr);
      break;
    case abi::ModuleKind::backend:
      break;
  }
}

// A factory that throws, crashes or hangs should do so here. Refusing its options is no fault: an
// option without a default may be required.
void try_create(const Library& library) {
  try {
    create_one(library);
  } catch (const Error& error) {
    if (error.code() != ExitCode::usage) throw;
  }
}

// "FILE: reason." without the file and the full stop, which the host puts around it again.
std::string bare_reason_of(const Error& error, const std::filesystem::path& file) {
  std::string reason = error.what();
  const std::string prefix = printable(file.string(), 400) + ": ";
  if (reason.starts_with(prefix)) reason.erase(0, prefix.size());
  if (reason.ends_with('.')) reason.pop_back();
  return reason;
}

ProbeAnswer examine(const std::filesystem::path& file) {
  try {
    check_door(file);
    const Library library(file);
    try_create(library);
    return library.description();
  } catch (const Error& error) {
    return ProbeRefusal{bare_reason_of(error, file)};
  }
}

}  // namespace

int probe_child(const std::filesystem::path& file) {
  const rlimit no_core_file{0, 0};
  setrlimit(RLIMIT_CORE, &no_core_file);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int pipe = take_answer_pipe();
  if (pipe < 0) return static_cast<int>(ExitCode::usage);
  return write_all(pipe, encode_answer(examine(file))) ? 0 : static_cast<int>(ExitCode::output);
}

}  // namespace ropewalk
