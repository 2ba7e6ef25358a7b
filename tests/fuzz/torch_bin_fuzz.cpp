// The bytes are a pytorch_model.bin. The reader throws Error or gives tensors that can be read.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/checkpoint/formats/tensor_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  Descriptor memory(memfd_create("fuzz", MFD_CLOEXEC));
  if (!memory.valid() || write(memory.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  try {
    const auto file = open_torch_bin(File(std::move(memory), "fuzz.bin"));
    for (size_t i = 0; i < file->tensors().size(); ++i) {
      const uint64_t bytes = file->tensors()[i].bytes;
      if (bytes > 1 << 20) continue;  // with stride 0, a small file has large tensors
      std::vector<std::byte> values(bytes);
      file->read_from(i, 0, values);
    }
  } catch (const Error&) {
  }
  return 0;
}
