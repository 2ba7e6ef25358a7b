#include "core/checkpoint/formats/tensor_info.h"

#include <array>

namespace ropewalk {
namespace {

struct Row {
  std::string_view name;
  uint64_t size;
};

// In the order of StoredType.
constexpr std::array<Row, 10> kRows{{{"F32", 4},
                                     {"F16", 2},
                                     {"BF16", 2},
                                     {"F64", 8},
                                     {"I64", 8},
                                     {"I32", 4},
                                     {"I16", 2},
                                     {"I8", 1},
                                     {"U8", 1},
                                     {"BOOL", 1}}};

}  // namespace

uint64_t stored_size(StoredType type) { return kRows[static_cast<size_t>(type)].size; }

std::string_view stored_name(StoredType type) { return kRows[static_cast<size_t>(type)].name; }

std::optional<StoredType> stored_type(std::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].name == name) return static_cast<StoredType>(i);
  return std::nullopt;
}

}  // namespace ropewalk
