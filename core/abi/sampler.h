// sampler.h — one link of the sampling chain.
//
// A chain runs from top to bottom over the candidates for the next token. A link rescales their
// logits, or removes some of them; a link that leaves exactly one has chosen. When the chain ends
// with more than one, the host draws from their softmax.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "core/abi/plugin.h"

namespace ropewalk::abi {

struct Candidate {
  int32_t id;
  float logit;
};

// The live candidates, at least one. A link may reorder and shrink them, never to none and never
// grow them. On entry to the chain they are in order of id and finite or -inf, at least one finite.
struct Candidates {
  Candidate* data;
  uint32_t size;
  bool
      sorted;  // greatest logit first, ties to the lower id; a link that breaks the order clears it

  std::span<Candidate> all() const { return {data, size}; }
};

// Greatest logit first, ties to the lower id: the one order everything agrees on, so that the same
// seed gives the same tokens on every platform.
inline bool precedes(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

inline void sort(Candidates& candidates) {
  if (candidates.sorted) return;
  std::sort(candidates.data, candidates.data + candidates.size, precedes);
  candidates.sorted = true;
}

// The greatest logit and the sum of exp(logit - greatest) in double: p(c) = exp(c.logit - max) /
// sum.
struct SoftmaxScale {
  float max;
  double sum;
  double probability(float logit) const {
    return std::exp(static_cast<double>(logit) - static_cast<double>(max)) / sum;
  }
};

inline SoftmaxScale softmax_scale(const Candidates& candidates) {
  SoftmaxScale scale{-INFINITY, 0};
  for (const Candidate& c : candidates.all()) scale.max = std::max(scale.max, c.logit);
  for (const Candidate& c : candidates.all())
    scale.sum += std::exp(static_cast<double>(c.logit) - static_cast<double>(scale.max));
  return scale;
}

// The sequence's own random numbers: same seed, same draws, whoever draws.
class Random {
 public:
  virtual double uniform() noexcept = 0;  // in [0, 1), 53 bits

 protected:
  ~Random() = default;
};

struct SampleContext {
  std::span<const int32_t> history;  // the prompt's ids and the generated ones, oldest first
  uint32_t prompt_length;            // how many of them are the prompt's
  Random* random;
};

// One object serves one sequence; calls come from one thread at a time.
class Sampler {
 public:
  static constexpr ModuleKind kKind = ModuleKind::sampler;

  virtual Status apply(Candidates& candidates, const SampleContext& context) noexcept = 0;
  // The token that was taken in the end, for links that adapt (mirostat).
  virtual Status accept(int32_t id) noexcept = 0;
  virtual void release() noexcept = 0;

 protected:
  ~Sampler() = default;
};

}  // namespace ropewalk::abi
