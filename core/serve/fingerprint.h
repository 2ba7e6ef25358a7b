// fingerprint.h — a short name for everything that decides which tokens a request gets.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace ropewalk::serve {

// Two models whose files have the same names, sizes and contents have the same identity. Of files
// of more than 4 MiB the first MiB and 64 parts of 64 KiB are read, as a fine-tune changes every
// weight. Throws Error(model) where a file cannot be read.
std::string model_identity(const std::filesystem::path& folder);

// The first 12 hexadecimal digits of the SHA-256 of the parts.
std::string fingerprint(std::span<const std::string> parts);

}  // namespace ropewalk::serve
