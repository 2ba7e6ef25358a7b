// candidates.h — the candidates for the next token, and what most links of a chain do with them.
//
// Everything is inline and plain, so that a sampler library needs nothing but these headers. No
// function here allocates, and none leaves a chain without a candidate.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

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

// The candidates by rank, 0 being the greatest. Few links look far down a vocabulary, so only as
// much of the order is made as was asked for, four times as much at each turn.
class Ranking {
 public:
  explicit Ranking(const Candidates& candidates)
      : begin_(candidates.data),
        end_(begin_ + candidates.size),
        sorted_end_(candidates.sorted ? end_ : begin_) {}

  // REQUIRES: rank < size.
  const Candidate& operator[](uint32_t rank) {
    while (begin_ + rank >= sorted_end_) sort_more();
    return begin_[rank];
  }

 private:
  void sort_more() {
    const auto wanted = std::max<ptrdiff_t>(64, 4 * (sorted_end_ - begin_));
    Candidate* const next = begin_ + std::min(wanted, end_ - begin_);
    std::nth_element(sorted_end_, next - 1, end_, precedes);
    std::sort(sorted_end_, next, precedes);
    sorted_end_ = next;
  }

  Candidate *begin_, *end_, *sorted_end_;
};

// Keeps the first `count` of the ranking. REQUIRES: ranking[count - 1] was asked for.
inline void keep_first(Candidates& candidates, uint32_t count) {
  candidates.size = count;
  candidates.sorted = true;
}

inline void keep_greatest(Candidates& candidates) {
  const auto all = candidates.all();
  all.front() = *std::min_element(all.begin(), all.end(), precedes);
  keep_first(candidates, 1);
}

// Keeps those for which `keep` says so, in the order they have; the greatest alone where it says so
// for none that is more than -inf.
template <class Keep>
void keep_if(Candidates& candidates, const Keep& keep) {
  const auto all = candidates.all();
  const Candidate greatest = *std::min_element(all.begin(), all.end(), precedes);
  uint32_t kept = 0;
  bool some_finite = false;
  for (const Candidate candidate : all) {
    if (!keep(candidate)) continue;
    some_finite |= candidate.logit > -INFINITY;
    all[kept++] = candidate;
  }
  if (!some_finite) {
    all.front() = greatest;
    kept = 1;
  }
  candidates.size = kept;
}

// The greatest logit and the sum of exp(logit - greatest) in double: p(c) = exp(c.logit - max) /
// sum.
struct SoftmaxScale {
  float max;
  double sum;
  double probability(float logit) const {
    return std::exp(static_cast<double>(logit) - static_cast<double>(max)) / sum;
  }
  // ln p; -infinity for a logit of -infinity.
  double log_probability(float logit) const {
    return static_cast<double>(logit) - static_cast<double>(max) - std::log(sum);
  }
};

inline SoftmaxScale softmax_scale(const Candidates& candidates) {
  SoftmaxScale scale{-INFINITY, 0};
  for (const Candidate& c : candidates.all()) scale.max = std::max(scale.max, c.logit);
  for (const Candidate& c : candidates.all())
    scale.sum += std::exp(static_cast<double>(c.logit) - static_cast<double>(scale.max));
  return scale;
}

// -sum p ln p, in nats.
inline double entropy(const Candidates& candidates, const SoftmaxScale& scale) {
  double mean = 0;  // of ln p
  const double log_sum = std::log(scale.sum);
  for (const Candidate& c : candidates.all()) {
    const double below = static_cast<double>(c.logit) - static_cast<double>(scale.max);
    const double weight = std::exp(below);
    if (weight > 0) mean += weight / scale.sum * (below - log_sum);
  }
  return -mean;
}

// The sequence's own random numbers: same seed, same draws, whoever draws.
class Random {
 public:
  virtual double uniform() noexcept = 0;  // in [0, 1), 53 bits

 protected:
  ~Random() = default;
};

// Draws one from the softmax, by the inverse of the cumulative sum over the ranking, and keeps it
// alone. Uses exactly one random number.
inline void draw(Candidates& candidates, Random& random) {
  const SoftmaxScale scale = softmax_scale(candidates);
  const double target = random.uniform();
  Ranking ranking(candidates);
  double reached = 0;
  Candidate chosen = ranking[0];
  for (uint32_t rank = 0; rank < candidates.size && reached <= target; ++rank) {
    const double probability = scale.probability(ranking[rank].logit);
    if (probability > 0) chosen = ranking[rank];
    reached += probability;
  }
  candidates.data[0] = chosen;
  keep_first(candidates, 1);
}

}  // namespace ropewalk::abi
