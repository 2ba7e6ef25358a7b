// prompt_log.h — serve.log.prompts: what clients ask, for an operator who must see it. Nothing else
// writes a client's text anywhere.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "core/json/json_fwd.h"

namespace ropewalk::serve {

// Threads: every function may be called from any thread.
class PromptLog {
 public:
  // Appends to `folder`/prompts.jsonl, which its owner alone may read, and says so as a warning. An
  // empty `folder`: nothing is written. Throws Error(usage) where the file cannot be opened.
  explicit PromptLog(const std::filesystem::path& folder);
  ~PromptLog();
  PromptLog(const PromptLog&) = delete;
  PromptLog& operator=(const PromptLog&) = delete;

  // A line {"time","id","path","body"}: the access log says under the same id whose request it was
  // and what became of it. A line that cannot be written is lost; the first one is warned about.
  void write(const std::string& id, const std::string& path, const Json& body);

 private:
  const std::filesystem::path file_;
  std::mutex mutex_;
  int descriptor_ = -1;
  bool warned_ = false;
};

}  // namespace ropewalk::serve
