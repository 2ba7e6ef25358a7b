// trust.h — checks for files and folders that every user of the machine may write: whoever can
// change one can make this program read their files or run their code.
#pragma once

#include <filesystem>

namespace ropewalk {

enum class Trust { warn, refuse };

// Warns, or throws Error(usage), where `path` is world-writable. A folder with the sticky bit
// (/tmp) counts too: strangers may add files to it. Does nothing where stat(path) fails.
void check_writable_by_others(const std::filesystem::path& path, Trust trust);

}  // namespace ropewalk
