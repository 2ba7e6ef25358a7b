// safetensors.h — the header of a safetensors file: which tensors lie where.
//
//   | N: u64 little-endian | N bytes of JSON, `{`...`}` and spaces | data, without holes |
//
// Pure functions of bytes and sizes, so that a fuzzer and truncation sweeps can call them.
// Source: huggingface/safetensors, README "Format" and safetensors/src/tensor.rs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/formats/tensor_info.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

struct SafetensorsEntry {
  std::string name;
  StoredType type;
  std::vector<uint64_t> shape;
  uint64_t begin, end;  // bytes from the start of the data
};

inline constexpr uint64_t kSafetensorsPrefix = 8;  // bytes of N

// N, from the file's first bytes (all of them where there are fewer than 8). Throws Error unless
// 1 <= N <= 100,000,000 and the file has room for it.
uint64_t safetensors_header_size(std::span<const std::byte> prefix, uint64_t file_size,
                                 const JsonSource& source);

// `json` is the N bytes. Throws Error unless every tensor is sound (name, dtype, shape, offsets, in
// this order) and together they cover the data exactly: no overlap, no hole, nothing behind.
// Entries are in order of their data. Time is n log n.
std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json, uint64_t file_size,
                                                       const JsonSource& source);

}  // namespace ropewalk
