// quant_config.h — what quantize_config.json and config.json's quantization_config say.
//
// They are claims: widths, groups and the order of rows are what the tensors show
// (core/checkpoint/weights), and a claim only decides what no tensor can tell.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace ropewalk {

// How a file says that its zero points are stored (checkpoint_format "gptq" or "gptq_v2").
enum class ZeroFormat : uint8_t { unsaid, v1, v2, contradicted };

struct QuantConfig {
  uint8_t bits = 4;                          // 2, 3, 4, 8
  int32_t group_size = 128;                  // -1: one group
  std::optional<bool> act_order, symmetric;  // desc_act, sym; nullopt: unsaid or contradicted
  ZeroFormat zero_format = ZeroFormat::unsaid;
  bool by_gptqmodel = false;  // meta.quantizer: its v1 zeros were subtracted from whole words
  bool dynamic = false;       // rules give some layers other bits or groups, or leave them dense
  std::string model_file_base_name;
  // For messages: the file that says each, the first of two; the first that is there where none
  // says it.
  struct Files {
    std::string sizes, act_order, symmetric, zero_format;  // sizes: bits and group_size
  } files;
};

// nullopt where neither place has one. What one place leaves out the other says; where they differ,
// one warning tells of all fields. Throws Error (exit code model) where a place is bad, or where
// the method is not GPTQ (AWQ, Marlin, bitsandbytes, ... by name).
std::optional<QuantConfig> read_quant_config(const std::filesystem::path& directory);

}  // namespace ropewalk
