// random.h — the tests' random numbers: the same on every platform.
#pragma once

#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace ropewalk::test {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(engine_() % limit); }
  uint32_t word() { return static_cast<uint32_t>(engine_()); }

  // In [-1, 1], multiples of 1/1024: exact in f16, so that every device starts from the same
  // numbers.
  float value() { return (static_cast<float>(below(2049)) - 1024.0f) / 1024.0f; }
  std::vector<float> values(uint64_t count) {
    std::vector<float> made(count);
    for (float& v : made) v = value();
    return made;
  }

  std::vector<uint32_t> permutation(uint32_t size) {
    std::vector<uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0u);
    for (uint32_t i = size; i > 1; --i) std::swap(order[i - 1], order[below(i)]);
    return order;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace ropewalk::test
