// safetensors_writer.h — writes tensors of known shapes into one safetensors file or several, in
// place and in any order: the header comes first, so no tensor need be in memory whole.
//
// write() may be called from several threads. Throws what OutputFolder throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/formats/output_folder.h"
#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

struct SafetensorsPlan {
  std::string stem;  // "model": model.safetensors, or model-00001-of-00003.safetensors and an index
  std::vector<TensorInfo> tensors;  // in the order of their bytes; `file` is filled by the writer
  uint64_t shard_bytes;             // of one file; a larger tensor has a file of its own
};

class SafetensorsWriter {
 public:
  // Takes the room of all files and writes their headers. REQUIRES: names are unique; the folder
  // outlives this.
  SafetensorsWriter(OutputFolder& folder, SafetensorsPlan plan);

  std::span<const TensorInfo> tensors() const { return tensors_; }

  // REQUIRES: within the tensor.
  void write(size_t index, uint64_t offset, std::span<const std::byte> bytes) const;
  void read(size_t index, uint64_t offset, std::span<std::byte> bytes) const;
  // Everything written so far survives a crash.
  void flush() const;

 private:
  struct Place {
    const OutputFile* file;
    uint64_t offset;  // of the tensor's first byte
  };

  void add_file(OutputFolder& folder, size_t first, size_t last);
  void add_index(OutputFolder& folder, const std::string& name) const;

  std::vector<TensorInfo> tensors_;
  std::vector<Place> places_;  // of tensors_[i]
};

}  // namespace ropewalk
