// file.h — the bytes of a configuration file, within limits.
#pragma once

#include <filesystem>
#include <string>

#include "core/config/trust.h"

namespace ropewalk {

inline constexpr size_t kMaxConfigBytes = 1 << 20;

// Throws Error(usage): missing, not a regular file (a FIFO is not waited for), empty, larger than
// kMaxConfigBytes, writable by others where `trust` refuses that.
std::string read_config_file(const std::filesystem::path& file, Trust trust);

}  // namespace ropewalk
