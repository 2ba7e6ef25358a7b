// bytes.h — sizes as a person would say them.
#pragma once

#include <cstdint>
#include <string>

namespace ropewalk {

// "0 B", "1.50 KiB", "118 MiB": three digits, units of 1024.
std::string format_bytes(uint64_t bytes);

}  // namespace ropewalk
