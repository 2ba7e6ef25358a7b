// tensor_file.h — one file that holds tensors, whatever its format.
//
// Owns the open file. Immutable; read() may be called from several threads.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/files.h"

namespace ropewalk {

class TensorFile {
 public:
  virtual ~TensorFile() = default;
  virtual const File& file() const = 0;
  // In any order; TensorInfo::file is left to the caller.
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // REQUIRES: out.size() == tensors()[index].bytes.
  virtual void read(size_t index, std::span<std::byte> out) const = 0;
};

// Both validate the file's directory of tensors before they return, and throw Error (exit code
// model).
std::unique_ptr<TensorFile> open_safetensors(File file);
std::unique_ptr<TensorFile> open_torch_bin(File file);

}  // namespace ropewalk
