// tiny_adapter.h — a small sound adapter that tests write themselves, so that they can spoil it.
//
// It is for tiny_dense() (tests/checkpoint/tiny_model.h) with one more module, `kModule`, of the
// shape of the golden example in tests/adapter/golden_test.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/adapter/merged_checkpoint.h"
#include "tests/checkpoint/tiny_model.h"

namespace ropewalk::test {

inline const std::string kModule = "model.layers.0.golden";

// F32 values as a tensor.
TinyTensor floats(std::vector<uint64_t> shape, const std::vector<float>& values);

// N 4, K 6: W[n][k] = (((13n + 7k + 3nk) mod 17) - 8) / 16.
std::vector<float> golden_weight();

// tiny_dense() with kModule.
TinyModel golden_base();

struct TinyAdapter {
  Json config;
  std::map<std::string, TinyTensor> tensors;  // by their name behind "base_model.model."
  std::map<std::string, std::string> files = {};
};

// r 2, alpha 3: A[i][k] = (((5i + 3k) mod 7) - 3) / 8, B[n][i] = (((2n + 5i) mod 5) - 2) / 4.
TinyAdapter golden_adapter();

// Writes adapter_config.json, adapter_model.safetensors and the further files.
void write_adapter(const TinyAdapter& adapter, const std::filesystem::path& directory);

// Base and adapter in a folder of their own, open.
struct OpenPair {
  OpenPair(const TinyModel& model, const TinyAdapter& adapter);

  std::vector<float> merged(const std::string& tensor, const MergeSettings& settings) const;
  std::vector<float> merged(const std::string& tensor) const;  // by itself, in f32

  TemporaryFolder folder;
  std::unique_ptr<Checkpoint> base;
  std::unique_ptr<Adapter> adapter;
};

}  // namespace ropewalk::test
