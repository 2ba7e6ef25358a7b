// checkpoint.h — a model directory as a set of named tensors, whatever files hold them.
//
// Owns the open files but not their contents: a tensor's bytes are read on request, so that memory
// never holds a whole checkpoint. Immutable after open(); read() may be called from several
// threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/config/model_config.h"
#include "core/checkpoint/config/quant_config.h"
#include "core/checkpoint/formats/tensor_info.h"

namespace ropewalk {

class Checkpoint {
 public:
  // safetensors (single, sharded with an index, or shards by glob) or pytorch_model.bin (torch zip,
  // read by a whitelisted pickle machine), in this order. Headers are validated here: a Checkpoint
  // that opened has no overlapping, missing or out-of-file tensor. Throws Error (exit code model),
  // also where the model is of none of these families.
  static std::unique_ptr<Checkpoint> open(const std::filesystem::path& directory,
                                          std::span<const ConfigFamily> families);
  virtual ~Checkpoint() = default;

  const std::filesystem::path& directory() const { return directory_; }
  const ModelConfig& config() const { return config_; }
  const std::optional<QuantConfig>& quantization() const { return quantization_; }

  std::span<const TensorInfo> tensors() const { return tensors_; }  // sorted by name
  const TensorInfo* find(std::string_view name) const;              // nullptr: not there
  const TensorInfo& get(std::string_view name) const;               // throws Error: missing

  // REQUIRES: out.size() == tensor.bytes. Row-major, little-endian, contiguous.
  void read(const TensorInfo& tensor, std::span<std::byte> out) const { read_from(tensor, 0, out); }
  // The bytes from `offset` on. REQUIRES: they are whole elements, and within the tensor.
  virtual void read_from(const TensorInfo& tensor, uint64_t offset,
                         std::span<std::byte> out) const = 0;

  // Warns once where the files changed (size, modification time, inode) since open().
  virtual void check_unchanged() const = 0;

 protected:
  std::filesystem::path directory_;
  ModelConfig config_;
  std::optional<QuantConfig> quantization_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace ropewalk
