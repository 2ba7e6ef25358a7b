// logits_hash.h — one number for the bits of all logits, so that two runs can be compared.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

namespace ropewalk {

// FNV-1a with 64 bits, over the logits' 32-bit words instead of bytes: it runs between two steps,
// and a model may have 128,000 logits for each.
class LogitsHash {
 public:
  void add(std::span<const float> logits) {
    for (const float logit : logits)
      hash_ = (hash_ ^ std::bit_cast<uint32_t>(logit)) * 0x100000001b3u;
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace ropewalk
