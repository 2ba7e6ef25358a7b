// tiny_torch.h — writes pytorch_model.bin files, sound and unsound ones, byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/checkpoint/tiny_model.h"

namespace ropewalk::test {

struct ZipItem {
  std::string name, bytes;
  uint16_t method = 0;  // what the headers claim; the bytes are written as they are
  uint16_t flags = 0;
};

// Stored entries, their directory and its end. `size_claim` stands in place of the first one's size
// where it is not zero.
std::string zip_file(const std::vector<ZipItem>& items, uint32_t size_claim);

// Pickle instructions as torch.save() (protocol 2) emits them.
std::string pickle_text(std::string_view text);
std::string pickle_integer(int64_t value);
std::string pickle_global(std::string_view module, std::string_view name);

struct PickleTensor {
  std::string name, storage_type, key;  // "HalfStorage"
  int64_t elements, offset;
  std::vector<int64_t> shape, stride;
};
std::string pickle_tensor(const PickleTensor& tensor);                    // name and value
std::string pickle_state_dict(const std::vector<PickleTensor>& tensors);  // the whole of data.pkl

// The tensors of `model`, one storage each, in pytorch_model.bin instead of model.safetensors.
TinyModel with_torch_file(TinyModel model);

}  // namespace ropewalk::test
