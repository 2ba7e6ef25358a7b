// activation_file.h — what all texts have at a cut of the model, in a file.
//
//   | value 0 of all tokens | value 1 of all tokens |   (tokens, width) each
//
// Owns the open file. Not thread-safe. Throws Error (output).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/checkpoint/formats/output_folder.h"
#include "core/checkpoint/formats/tensor_info.h"
#include "core/layerwise/graph_cut.h"

namespace ropewalk {

class ActivationFile {
 public:
  // Takes the room for the widest cut at once; what an earlier run wrote stays.
  ActivationFile(const std::filesystem::path& file, uint64_t tokens, StoredType type,
                 uint64_t max_width);

  // What the file holds from here on.
  void hold(std::vector<LiveValue> values) { values_ = std::move(values); }
  const std::vector<LiveValue>& values() const { return values_; }
  size_t index_of(const std::string& name) const;  // REQUIRES: it is there

  uint64_t row_bytes(size_t value) const { return values_[value].width * stored_size(type_); }
  StoredType type() const { return type_; }
  uint64_t bytes() const { return bytes_; }  // that it takes on the disk
  // Whole rows from `token` on.
  void write(size_t value, uint64_t token, std::span<const std::byte> rows) const;
  void read(size_t value, uint64_t token, std::span<std::byte> rows) const;

  // Puts what was written on the disk. Returns a checksum of the values.
  std::string settle() const;
  std::string checksum() const;

 private:
  uint64_t offset_of(size_t value, uint64_t token) const;

  OutputFile file_;
  uint64_t tokens_;
  StoredType type_;
  uint64_t bytes_;
  std::vector<LiveValue> values_;
};

}  // namespace ropewalk
