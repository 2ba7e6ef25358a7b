// quantize_config.h — the JSON files of a quantised model: how its weights are stored, and how it
// was made.
#pragma once

#include <filesystem>
#include <string>

#include "apps/quantize/quantize_command.h"
#include "core/abi/quantize.h"
#include "core/checkpoint/formats/output_folder.h"
#include "core/json/json.h"

namespace ropewalk {

struct QuantizedFacts {
  std::string source_sha256;       // of source_digest()
  std::string calibration_sha256;  // of ids_text()
  uint64_t tokens;
  Json adapter;                       // that it was calibrated with; null: none
  const abi::QuantizeSolver* solver;  // nullptr: the host
  Json matrices;                      // of QuantizeRun
};

// Adds ropewalk-quantize.json, quantize_config.json and, last, config.json: the base's with the
// same object as quantization_config.
void add_quantize_config(const QuantizeArguments& arguments, const QuantizedFacts& facts,
                         const std::filesystem::path& base, OutputFolder& folder);

}  // namespace ropewalk
