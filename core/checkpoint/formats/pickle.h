// pickle.h — reads the one thing a model's pickle should hold: a dictionary of tensors.
//
// A pickle is a program. This machine runs only the instructions that torch.save() emits for a
// state dict and knows only the few names in pickle.cpp; it calls nothing. A pure function of the
// bytes. Source: CPython Lib/pickletools.py; pytorch torch/_utils.py, torch/serialization.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

// Elements [offset + sum of index[i] * stride[i]] of a storage.
struct PickledTensor {
  std::string name;
  StoredType type;
  std::string storage;  // key of the storage, the name of its file in the zip
  uint64_t elements;    // of the storage
  uint64_t offset;
  std::vector<uint64_t> shape, stride;  // of equal length
};

// Throws Error (exit code model) for any other instruction, name or result; the message gives the
// byte. Every tensor lies within its storage as the pickle describes it. `file` is for errors.
std::vector<PickledTensor> read_state_dict(std::span<const std::byte> pickle,
                                           const std::string& file);

}  // namespace ropewalk
