// elf.h — reads one data object out of a shared library's file without loading it.
//
// Nothing in the file is trusted: each offset is checked against the file before it is followed,
// and no loop is longer than the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

namespace ropewalk {

// The first `size` bytes of the exported data object `name` as they stand in the file (pointers in
// it are not relocated). Found as the dynamic loader finds it: program headers, dynamic section,
// hash table, symbol table. Source: System V gABI chapters 4 and 5; the GNU hash table of binutils.
//
// Throws Error(plugin, file): no regular file, no 64-bit ELF library of this machine, a segment or
// a table that reaches beyond the file, no such object.
std::vector<std::byte> read_exported_object(const std::filesystem::path& file,
                                            std::string_view name, size_t size);

}  // namespace ropewalk
