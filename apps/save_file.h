// save_file.h — replaces a file atomically: a crash, a full disk or a signal leaves the old file or
// the new one.
#pragma once

#include <filesystem>
#include <string_view>

namespace ropewalk {

// Writes a temporary file beside `file`, flushes it to the disk and renames it. Readable by the
// owner only, because conversations are private. Throws Error(output): not writable, no space, or
// something else than a regular file is there; what was there stays as it was.
void save_file(const std::filesystem::path& file, std::string_view bytes);

}  // namespace ropewalk
