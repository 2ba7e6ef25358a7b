// model_file.h — the bytes of one of the tokenizer's files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace ropewalk {

// nullopt where there is no such file. Throws Error (model): unreadable, not a regular file (a FIFO
// or a device would hang), more than `limit` bytes, a Git LFS pointer.
std::optional<std::string> read_model_file(const std::filesystem::path& file, size_t limit);

}  // namespace ropewalk
