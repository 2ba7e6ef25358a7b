// random_vector.h — the logit vectors that tools/fixtures/samplers.py draws, drawn again.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ropewalk::test {

struct RandomVector {
  std::vector<float> logits;
  std::vector<int32_t> history;
};

enum class Ties { no, yes };

// splitmix64's outputs, by index. Source: Steele, Lea, Flood (OOPSLA 2014).
inline uint64_t splitmix(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// CRC-32 as zlib has it.
inline uint32_t crc32(std::string_view text) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

inline RandomVector random_vector(std::string_view sampler, uint64_t row, uint64_t attempt,
                                  Ties ties) {
  const uint64_t seed = (uint64_t{crc32(sampler)} << 20) + (attempt << 10) + row;
  const uint64_t size = 128 + splitmix(seed, 0) % 273;
  const uint64_t kind = splitmix(seed, 1) % (ties == Ties::yes ? 4 : 3);
  RandomVector vector;
  for (uint64_t i = 0; i < 40; ++i) {
    const uint64_t letter = splitmix(seed, 8 + i) % 6;
    vector.history.push_back(static_cast<int32_t>(33 + splitmix(seed, 2 + letter) % 94));
  }
  vector.history.push_back(vector.history[0]);
  vector.history.push_back(vector.history[1]);
  constexpr float kScales[] = {0x1p-16f, 0x1p-14f, 0x1p-13f};
  for (uint64_t i = 0; i < size; ++i) {
    const uint64_t word = splitmix(seed, 64 + i);
    int32_t sum = -131070;
    for (int part = 0; part < 4; ++part) sum += static_cast<int32_t>(word >> 16 * part & 0xFFFF);
    vector.logits.push_back(kind == 3 ? static_cast<float>(sum >> 12) * 0.25f
                                      : static_cast<float>(sum) * kScales[kind]);
  }
  return vector;
}

}  // namespace ropewalk::test
