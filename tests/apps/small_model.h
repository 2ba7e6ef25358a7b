// small_model.h — a model folder with random weights and the bundled tokenizer: small enough to be
// made by a test, with as long a context as the test likes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace ropewalk::test {

struct SmallModel {
  uint32_t layers = 2;
  uint32_t hidden = 64;
  uint32_t context = 256;
  uint32_t padding = 0;  // rows beyond the tokenizer's ids, whose logits are the largest
};

// Writes config.json, model.safetensors and the tokenizer's files. The end token is never the
// likeliest, so a greedy reply goes on to its limit.
void write_small_model(const std::filesystem::path& folder, const SmallModel& model);

// The same in FOLDER/model, and a configuration beside it, greedy and on the cpu; returns its path.
std::string write_small_config(const std::filesystem::path& folder, const SmallModel& model);

}  // namespace ropewalk::test
