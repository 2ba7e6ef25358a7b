// calibration.h — from documents to the windows of tokens on which layers' inputs are gathered.
//
// Pure functions of ids and settings; the same seed gives the same windows everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ropewalk::quantize {

struct WindowKind {
  uint32_t length = 2048;  // tokens, BOS among them
  uint32_t count = 128;
};

struct CalibrationSettings {
  std::vector<WindowKind> windows = {WindowKind{}};
  uint64_t seed = 0;
  std::optional<int32_t> bos = {};  // in front of each window; absent: the tokenizer adds none
  int32_t eos = 2;                  // between documents
};

struct Calibration {
  std::vector<std::vector<int32_t>> windows;
  uint64_t tokens = 0;  // in them
  uint64_t asked = 0;   // that the settings ask for
};

// Throws Error (limit) for fewer than 512 tokens.
void check_tokens(const Calibration& calibration);

// Documents are shuffled, joined by EOS and cut, one kind of window after the other; nothing is
// padded and no token is used twice. Where the text ends before, there are fewer windows; one that
// is shorter than it should be is there only where it is the only one. Throws Error (limit) for
// fewer than 512 tokens.
Calibration make_calibration(std::vector<std::vector<int32_t>> documents,
                             const CalibrationSettings& settings);

}  // namespace ropewalk::quantize
