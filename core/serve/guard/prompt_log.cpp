#include "core/serve/guard/prompt_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/json/json.h"
#include "core/serve/answer/json_text.h"
#include "core/serve/guard/journal.h"

namespace ropewalk::serve {

PromptLog::PromptLog(const std::filesystem::path& folder)
    : file_(folder.empty() ? folder : folder / "prompts.jsonl") {
  if (folder.empty()) return;
  std::error_code ignored;  // open() tells
  std::filesystem::create_directories(folder, ignored);
  constexpr mode_t kOwner = S_IRUSR | S_IWUSR;
  descriptor_ = open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kOwner);
  if (descriptor_ < 0 || fchmod(descriptor_, kOwner) != 0)
    throw Error(ExitCode::usage, "serve.log.prompts",
                fmt::format("cannot write {}: {}", file_.string(), std::strerror(errno)),
                "Name a folder that this user may write");
  warn(fmt::format("serve.log.prompts: the requests of all clients are written to {}",
                   file_.string()));
}

PromptLog::~PromptLog() {
  if (descriptor_ >= 0) close(descriptor_);
}

void PromptLog::write(const std::string& id, const std::string& path, const Json& body) {
  if (descriptor_ < 0) return;
  const std::string line =
      json_text({{"time", utc_now()}, {"id", id}, {"path", path}, {"body", body}}) + "\n";
  const std::lock_guard lock(mutex_);
  const ssize_t written = ::write(descriptor_, line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size()) || std::exchange(warned_, true)) return;
  warn(fmt::format("serve.log.prompts: {}: {}", file_.string(),
                   written < 0 ? std::strerror(errno) : "no space is left for a line"));
}

}  // namespace ropewalk::serve
