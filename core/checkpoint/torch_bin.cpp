#include "core/checkpoint/refuse.h"
#include "core/checkpoint/tensor_file.h"

namespace ropewalk {

std::unique_ptr<TensorFile> open_torch_bin(File file) {
  refuse(file.path(), "is a PyTorch file, which is not read yet", "Take safetensors files");
}

}  // namespace ropewalk
