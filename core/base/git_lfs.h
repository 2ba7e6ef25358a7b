// git_lfs.h — Git LFS leaves a text of three lines where a file was not fetched.
#pragma once

#include <string_view>

namespace ropewalk {

inline constexpr std::string_view kLfsPointerBegin = "version https://git-lfs.github.com/spec/";
inline constexpr std::string_view kLfsPointer = "is a Git LFS pointer, expected the file itself";
inline constexpr std::string_view kLfsAdvice = "Run git lfs pull in the model's folder";

inline bool is_lfs_pointer(std::string_view bytes) { return bytes.starts_with(kLfsPointerBegin); }

}  // namespace ropewalk
