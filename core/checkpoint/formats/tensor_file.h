// tensor_file.h — one file that holds tensors, whatever its format.
//
// Owns the open file. Immutable; read() may be called from several threads.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/checkpoint/formats/files.h"
#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual const File& file() const = 0;
  // In any order; TensorInfo::file is left to the caller.
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // The bytes from `offset` on. REQUIRES: whole elements, within the tensor.
  virtual void read_from(size_t index, uint64_t offset, std::span<std::byte> out) const = 0;
};

// Limits of both formats, far above what any model has, far below what would take long to check.
inline constexpr size_t kMaxTensors = 200'000;  // in one file
inline constexpr size_t kMaxTensorName = 1024;  // bytes
inline constexpr size_t kMaxRank = 16;

// Printable ASCII without spaces, slashes and quotes: names travel to terminals and JSON answers.
bool is_tensor_name(std::string_view name);

// nullopt: more than 2^64.
std::optional<uint64_t> tensor_bytes(StoredType type, std::span<const uint64_t> shape);

// Both validate the file's directory of tensors before they return, and throw Error (exit code
// model).
std::unique_ptr<TensorFile> open_safetensors(File file);
std::unique_ptr<TensorFile> open_torch_bin(File file);

}  // namespace ropewalk
