// tiny_model.h — a small valid GPTQ checkpoint that tests write themselves, so that they can spoil
// it.
//
// Plain data: a test changes the fields or the files and writes the rest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json.h"
#include "tests/files.h"

namespace ropewalk::test {

struct TinySize {
  uint32_t hidden = 64, heads = 2, kv_heads = 2, head_dim = 32, inner = 64, layers = 1, vocab = 32;
  uint32_t bits = 4, group = 32;
};

struct TinyTensor {
  std::string dtype;  // as safetensors spells it
  std::vector<uint64_t> shape;
  std::string bytes;
};

struct TinyModel {
  Json config, quantize;  // null: the file is left out
  std::map<std::string, TinyTensor> tensors;
  std::map<std::string, std::string> files;  // further files, by name
};

// 4 bits, groups of 32, act-order, symmetric v1 zeros; one layer.
TinyModel tiny_model_of(const TinySize& size);
TinyModel tiny_model();

// The same shape without quantisation, all in f16.
TinyModel tiny_dense();

// The bytes of a safetensors file: `header` as it is, and behind it `data`.
std::string safetensors_file(std::string_view header, std::string_view data);

struct TinyFile {
  std::string header, data;
};
TinyFile safetensors_parts(const std::map<std::string, TinyTensor>& tensors);

// `count` values, little-endian.
std::string repeated(uint64_t value, size_t value_bytes, size_t count);

// Writes config.json, quantize_config.json, model.safetensors and the further files, which may
// replace those.
void write_model(const TinyModel& model, const std::filesystem::path& directory);

}  // namespace ropewalk::test
