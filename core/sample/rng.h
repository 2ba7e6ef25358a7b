// rng.h — the random numbers of one sequence: same seed, same draws, on every machine.
//
// Counter-based: the n-th draw depends only on the seed and n. Not thread-safe; one object belongs
// to one sequence.
#pragma once

#include <array>
#include <cstdint>

#include "core/abi/sampler.h"

namespace ropewalk {

// Philox4x32-10: a keyed bijection of 128-bit counters that passes the usual statistical batteries.
// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); the constants and
// known answers are those of DEShawResearch/random123.
std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

class SequenceRandom final : public abi::Random {
 public:
  explicit SequenceRandom(uint64_t seed);

  double uniform() noexcept override;  // in [0, 1), 53 bits

 private:
  std::array<uint32_t, 2> key_;
  uint64_t draws_ = 0;
};

}  // namespace ropewalk
