#include "core/checkpoint/formats/tensor_file.h"

#include <algorithm>

#include "core/base/checked.h"

namespace ropewalk {

bool is_tensor_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTensorName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return c > ' ' && c <= '~' && c != '/' && c != '\\' && c != '"';
         });
}

std::optional<uint64_t> tensor_bytes(StoredType type, std::span<const uint64_t> shape) {
  std::optional<uint64_t> bytes = stored_size(type);
  for (const uint64_t size : shape) {
    bytes = checked_mul(*bytes, size);
    if (!bytes) break;
  }
  return bytes;
}

}  // namespace ropewalk
