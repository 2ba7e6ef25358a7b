// calibration_input.h — the texts that a model is quantised on, from the command line's files.
#pragma once

#include "apps/quantize/quantize_command.h"
#include "core/checkpoint/config/model_config.h"
#include "core/config/config.h"
#include "core/quantize/calibration.h"

namespace ropewalk {

// Reads --calibration:
//
//   NAME.jsonl   documents, one a line: {"text": ".."}, {"messages": [..]} or {"ids": [..]}
//   NAME.ids     windows, one a line: taken exactly as they are, as --dump-calibration writes them
//   any other    one document, UTF-8
//
// `kinds` are the windows that documents are cut into. Warns where there are fewer tokens than
// asked for, and where more than 1 % are the unknown token. Throws Error: usage for a file that is
// none of these or has ids beyond the vocabulary, limit for fewer than 512 tokens.
quantize::Calibration read_calibration(const QuantizeArguments& arguments, const Config& config,
                                       const ModelConfig& model,
                                       const std::vector<quantize::WindowKind>& kinds);

// One window a line, ids separated by spaces.
std::string ids_text(const quantize::Calibration& calibration);

}  // namespace ropewalk
