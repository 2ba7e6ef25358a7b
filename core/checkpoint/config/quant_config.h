// quant_config.h — what quantize_config.json or config.json's quantization_config says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace ropewalk {

struct QuantConfig {
  uint8_t bits = 4;          // 2, 3, 4, 8
  int32_t group_size = 128;  // -1: one group
  bool act_order = false;    // desc_act; only a claim: the tensors decide
  bool symmetric = true;
  bool zero_points_v2 = false;  // checkpoint_format "gptq_v2"
  std::string model_file_base_name;
  std::string file;  // the file that said so
};

// nullopt where neither place has one. Throws Error (exit code model) where a place is bad, where
// both exist and disagree, or where the method is not GPTQ (AWQ, Marlin, bitsandbytes, ... by
// name).
std::optional<QuantConfig> read_quant_config(const std::filesystem::path& directory);

}  // namespace ropewalk
