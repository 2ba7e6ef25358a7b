// program_path.h — where the program that runs lies.
#pragma once

#include <filesystem>

namespace ropewalk {

// Its file, absolute and without links. Throws Error (plugin) where neither /proc nor the name that
// it was started by tells it.
std::filesystem::path program_path();

}  // namespace ropewalk
