// checksum.h — to notice damage to files of our own. No defence against malice.
//
// Four sums side by side over words of 64 bits: a chain of one byte after the other would take
// longer than writing the file. A change of one word always shows, since every step can be undone.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace ropewalk::quantize {

class Checksum {
 public:
  // Where the parts begin counts, and how long they are.
  void add(std::span<const std::byte> bytes) {
    const size_t size = bytes.size();
    Words lanes = lanes_;  // which no byte can be part of
    size_t at = 0;
    for (; at + kBlock <= size; at += kBlock) {
      Words words;
      std::memcpy(words.data(), bytes.data() + at, kBlock);
      mix(lanes, words);
    }
    Words rest{};
    if (at < size) std::memcpy(rest.data(), bytes.data() + at, size - at);
    mix(lanes, rest);
    mix(lanes, {size, size, size, size});
    lanes_ = lanes;
  }
  std::string text() const {
    uint64_t all = 0;
    for (const uint64_t lane : lanes_) all = mixed(all, lane);
    return fmt::format("{:016x}", all);
  }

 private:
  using Words = std::array<uint64_t, 4>;
  static constexpr size_t kBlock = sizeof(Words);
  static constexpr uint64_t kFactor = 0x9e3779b97f4a7c15u;  // odd: no product loses a bit

  // Products carry a change upwards only, so it is brought down again.
  static uint64_t mixed(uint64_t lane, uint64_t word) {
    const uint64_t product = (lane ^ word) * kFactor;
    return product ^ product >> 32;
  }
  static void mix(Words& lanes, const Words& words) {
    for (size_t i = 0; i < words.size(); ++i) lanes[i] = mixed(lanes[i], words[i]);
  }

  Words lanes_ = {0xcbf29ce484222325u, 0x84222325cbf29ce4u, 0x9ce484222325cbf2u,
                  0x2325cbf29ce48422u};
};

}  // namespace ropewalk::quantize
