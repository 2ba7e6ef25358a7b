// tensor_info.h — what a file says of one of its tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

enum class StoredType : uint8_t { f32, f16, bf16, f64, i64, i32, i16, i8, u8, boolean };

uint64_t stored_size(StoredType type);                         // bytes of one element
std::string_view stored_name(StoredType type);                 // as safetensors spells it: "F16"
std::optional<StoredType> stored_type(std::string_view name);  // nullopt: none that we read

// The types that dense weights are stored in.
constexpr bool is_float(StoredType type) {
  return type == StoredType::f32 || type == StoredType::f16 || type == StoredType::bf16;
}

struct TensorInfo {
  std::string name;
  StoredType type;
  std::vector<uint64_t> shape;
  uint64_t bytes;
  std::string file;  // relative to the model directory
};

}  // namespace ropewalk
