// door.h — the check of a file before any of its code is loaded.
//
// The fixed head of the module's declaration is read from the file itself, so that a stranger is
// refused in words, and a truncated file is refused before the loader maps missing pages (touching
// one is a SIGBUS).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/abi/plugin.h"

namespace ropewalk {

struct ModuleHead {
  uint16_t abi_major;
  uint16_t abi_minor;
  uint32_t struct_size;
  abi::ModuleKind kind;
  std::string toolchain;
};

// Throws Error(plugin, file): no regular file, no ELF library of this machine, segments beyond the
// end of the file, no `ropewalk_module` among its exported data, wrong magic, ABI, size, kind or
// toolchain.
ModuleHead check_door(const std::filesystem::path& file);

}  // namespace ropewalk
