// zip.h — the directory of an uncompressed zip file, as torch.save() writes one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/formats/files.h"

namespace ropewalk {

struct ZipEntry {
  std::string name;
  uint64_t offset;  // of its bytes in the file
  uint64_t size;
};

// In order of their bytes. Throws Error (exit code model) for compressed entries, entries beyond
// the file, overlapping ones, equal names, and bytes after the directory. Source: PKWARE
// APPNOTE.TXT 6.3, sections 4.3 and 4.5.3 (zip64).
std::vector<ZipEntry> read_zip_directory(const File& file);

}  // namespace ropewalk
