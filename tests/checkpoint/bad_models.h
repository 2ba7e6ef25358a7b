// bad_models.h — model directories that must be refused, one row each, and the words that must be
// said.
//
// The rows are data for whoever runs them: the reader's own test here, and the program's elsewhere.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

namespace ropewalk::test {

struct BadModel {
  std::string id;    // "D17": the case of the failure catalogue; several rows may share one
  std::string what;  // tells the rows apart, in CamelCase: "Overlap"
  // ECMAScript regular expression that the message must contain: file, tensor or field, and reason.
  std::string pattern;
  std::function<void(const std::filesystem::path& directory)> write;
};

void PrintTo(const BadModel& row, std::ostream* out);  // for GoogleTest

std::vector<BadModel> bad_configs();        // B: config.json
std::vector<BadModel> bad_quant_configs();  // C: quantize_config.json
std::vector<BadModel> bad_safetensors();    // D: the container
std::vector<BadModel> bad_tensors();        // E: GPTQ tensors
std::vector<BadModel> bad_files();          // F, G: shards, paths, file system
std::vector<BadModel> bad_torch_files();    // P: pytorch_model.bin
std::vector<BadModel> all_bad_models();

}  // namespace ropewalk::test
