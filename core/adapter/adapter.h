// adapter.h — a PEFT folder: adapter_config.json and its tensors, ordered by what they are for.
//
// Owns the open file and nothing of its contents: tensors are read when asked for. Immutable after
// construction; read() may be called from several threads. Throws Error (exit code model).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/adapter/adapter_config.h"
#include "core/checkpoint/formats/tensor_file.h"

namespace ropewalk {

// The matrices of one module. Of a linear layer: W' = W + scale B A, and where it is a DoRA, W' row
// by row stretched to the length that `magnitude` says. Of a table of embeddings the transpose: W'
// = W + scale (B A)^T.
struct LowRank {
  std::string module;
  uint32_t rank = 0;
  double scale = 0;
  uint64_t rows = 0;  // N outputs of the layer, or V tokens of the table
  uint64_t cols = 0;  // K inputs, or the H values of an embedding
  bool table = false;
  const TensorInfo* a = nullptr;
  const TensorInfo* b = nullptr;
  const TensorInfo* bias = nullptr;       // (N), added with the scale; nullptr: none
  const TensorInfo* magnitude = nullptr;  // (N); nullptr: no DoRA
};

// A tensor of the base that the adapter brings whole (modules_to_save, biases, resized tables).
struct Replacement {
  std::string name;  // the base's
  const TensorInfo* tensor;
};

// Rows of a table that the adapter brings (trainable_token_indices).
struct TokenRows {
  std::string module;
  std::vector<uint32_t> ids;  // a row of the tensor each
  const TensorInfo* tensor;   // (ids, H)
};

class Adapter {
 public:
  // Reads adapter_config.json and the header of adapter_model.safetensors or .bin (by the pickle
  // machine of core/checkpoint, which runs no code). Every tensor must be of use: one that PEFT's
  // LoRA does not know, A without B or a rank unlike the config's is an error.
  explicit Adapter(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  std::string weights_file() const;  // its name
  const AdapterConfig& config() const { return config_; }
  const std::vector<LowRank>& low_ranks() const { return low_ranks_; }  // by module
  const std::vector<Replacement>& replacements() const { return replacements_; }
  const std::vector<TokenRows>& token_rows() const { return token_rows_; }

  // Where an error of the tensor lies: "DIR/adapter_model.safetensors: base_model...".
  std::string place_of(const TensorInfo& tensor) const;

  // `count` rows from `first` on, as floats. A vector is a matrix of one column. Throws where a
  // value is NaN or infinite.
  std::vector<float> read(const TensorInfo& tensor, uint64_t first, uint64_t count) const;

 private:
  void sort_tensors();
  void check_pair(LowRank& pair) const;

  std::filesystem::path directory_;
  AdapterConfig config_;
  std::unique_ptr<TensorFile> file_;
  std::vector<LowRank> low_ranks_;
  std::vector<Replacement> replacements_;
  std::vector<TokenRows> token_rows_;
};

}  // namespace ropewalk
