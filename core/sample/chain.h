// chain.h — the sampling chain of one sequence: from logits to the next id.
//
// Owns the samplers and the random numbers of its sequence. Without samplers decoding is greedy
// (ties to the lower id). Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/abi/sampler.h"
#include "core/modules/library.h"
#include "core/sample/rng.h"

namespace ropewalk {

struct ChainLink {
  std::string name;  // of the plugin, for messages
  Owned<abi::Sampler> sampler;
};

class Chain {
 public:
  Chain(std::vector<ChainLink> links, uint64_t seed);

  // The next id, one of 0 .. logits.size() - 1. `history` is the prompt's ids and the generated
  // ones; the first `prompt_length` are the prompt's. Throws Error (plugin) for a link that fails,
  // leaves no candidate, or makes a logit NaN or +infinity or all of them -infinity.
  // REQUIRES: logits are not empty and obey the law of ChunkResult (core/exec/executor.h): finite.
  int32_t sample(std::span<const float> logits, std::span<const int32_t> history,
                 uint32_t prompt_length);
  // Whether only the largest logit matters to sample(): that of all ids but the banned ones, where
  // it is not one of these. So it is without samplers, and where the owner of the samplers says so.
  bool is_greedy() const { return links_.empty() || bans_; }
  std::span<const int32_t> bans() const {
    return bans_ ? std::span<const int32_t>(*bans_) : std::span<const int32_t>();
  }
  // The samplers ban these ids and take the largest of the others; they keep nothing of a reply.
  void takes_largest_but(std::vector<int32_t> ids) { bans_ = std::move(ids); }
  // From now on choices() are what the last sample() drew from, in no order: the candidates that
  // the links left, with their logits. Greedy decoding leaves one.
  void keep_choices() { keeps_choices_ = true; }
  std::span<const abi::Candidate> choices() const { return choices_; }

 private:
  std::vector<ChainLink> links_;
  std::optional<std::vector<int32_t>> bans_;
  SequenceRandom random_;
  // Between two sentinels. Reused: no allocation per token after the first.
  std::vector<abi::Candidate> candidates_;
  std::vector<abi::Candidate> choices_;
  bool keeps_choices_ = false;
};

}  // namespace ropewalk
