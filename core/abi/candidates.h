// candidates.h — the candidates for the next token, and the functions that links share.
//
// Everything is inline and plain, so that a sampler library needs nothing but these headers. No
// function here allocates, and none leaves a chain without a candidate.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ropewalk::abi {

struct Candidate {
  int32_t id;
  float logit;
};

// The live candidates, at least one. A link may reorder and remove candidates, but must leave one
// and add none. On entry to the chain they are in order of id and finite or -inf, at least one
// finite.
struct Candidates {
  Candidate* data;
  uint32_t size;
  // Whether the largest logit comes first, ties to the lower id. A link that breaks the order sets
  // it to false.
  bool sorted;

  std::span<Candidate> all() const { return {data, size}; }
};

// Largest logit first, ties to the lower id. Everything uses this order, so that the same seed
// gives the same tokens on every platform.
inline bool precedes(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

inline void sort(Candidates& candidates) {
  if (candidates.sorted) return;
  std::sort(candidates.data, candidates.data + candidates.size, precedes);
  candidates.sorted = true;
}

// A pass over a whole vocabulary copies the logits out in blocks and sums or compares them in
// kLanes independent lanes. Compilers vectorise such loops, and the order of the additions is the
// same everywhere.
namespace passes {

inline constexpr uint32_t kBlock = 256, kLanes = 8;

// Calls look(logits) with a pointer to each block of kBlock logits; the last is padded with
// -infinity.
template <class Look>
void for_each_block(const Candidates& candidates, const Look& look) {
  float logits[kBlock];
  for (uint32_t at = 0; at < candidates.size; at += kBlock) {
    const Candidate* const block = candidates.data + at;
    const uint32_t count = std::min(kBlock, candidates.size - at);
    for (uint32_t i = 0; i < count; ++i) logits[i] = block[i].logit;
    for (uint32_t i = count; i < kBlock; ++i) logits[i] = -INFINITY;
    look(static_cast<float*>(logits));
  }
}

// The sum of term(x) over x = logit - max, clamped to [-87, 0]: e^-87 is negligible beside the
// e^0 = 1 of the largest logit.
template <class Term>
double sum_below(const Candidates& candidates, float max, const Term& term) {
  double lanes[kLanes] = {};
  for_each_block(candidates, [&](float* logits) {
    for (uint32_t i = 0; i < kBlock; ++i) logits[i] = std::max(logits[i] - max, -87.0f);
    for (uint32_t i = 0; i < kBlock; ++i) logits[i] = term(logits[i]);
    for (uint32_t i = 0; i < kBlock; i += kLanes)
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        lanes[lane] += static_cast<double>(logits[i + lane]);
  });
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace passes

inline float greatest_logit(const Candidates& candidates) {
  using passes::kLanes;
  float max[kLanes];
  std::fill_n(max, kLanes, -INFINITY);
  passes::for_each_block(candidates, [&](const float* logits) {
    for (uint32_t i = 0; i < passes::kBlock; i += kLanes)
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        max[lane] = std::max(max[lane], logits[i + lane]);
  });
  return *std::max_element(max, max + kLanes);
}

// The candidate with the largest logit, ties to the lowest id.
inline Candidate greatest(const Candidates& candidates) {
  Candidate found{0, greatest_logit(candidates)};
  bool is_found = false;
  for (const Candidate& c : candidates.all()) {
    if (c.logit != found.logit || (is_found && c.id > found.id)) continue;
    found.id = c.id;
    is_found = true;
  }
  return found;
}

// Extends the sorted range [begin, sorted_end) to four times its length, at least 64, and returns
// its new end.
template <class Before>
Candidate* sort_more(Candidate* begin, Candidate* sorted_end, Candidate* end,
                     const Before& before) {
  const auto wanted = std::max<ptrdiff_t>(64, 4 * (sorted_end - begin));
  Candidate* const next = begin + std::min(wanted, end - begin);
  if (next < end) std::nth_element(sorted_end, next - 1, end, before);
  std::sort(sorted_end, next, before);
  return next;
}

// The candidates by rank; rank 0 has the largest logit. Few links look far down a vocabulary, so
// the order is made lazily: four times as much each time, and only among the candidates near the
// maximum while there are any left.
class Ranking {
 public:
  // `max` is the largest logit: SoftmaxScale::max or greatest_logit().
  Ranking(const Candidates& candidates, float max)
      : begin_(candidates.data),
        end_(begin_ + candidates.size),
        sorted_end_(candidates.sorted ? end_ : begin_),
        near_end_(sorted_end_),
        max_(max) {}

  // REQUIRES: rank < size.
  const Candidate& operator[](uint32_t rank) {
    while (begin_ + rank >= sorted_end_) {
      while (near_end_ == sorted_end_) widen();
      sorted_end_ = sort_more(begin_, sorted_end_, near_end_, precedes);
    }
    return begin_[rank];
  }

 private:
  static constexpr float kFirstReach = 4;   // e^-4 = 0.02 of the largest probability
  static constexpr float kLastReach = 100;  // further down no probability is worth a search

  // Moves the candidates within `reach_` of the maximum to the front of the unsorted rest.
  void widen() {
    reach_ = reach_ == 0 ? kFirstReach : 2 * reach_;
    const float floor = reach_ > kLastReach ? -INFINITY : max_ - reach_;
    near_end_ =
        std::partition(sorted_end_, end_, [floor](const Candidate& c) { return c.logit >= floor; });
  }

  // [begin, sorted_end) is sorted; all of [sorted_end, near_end) rank before [near_end, end).
  Candidate *begin_, *end_, *sorted_end_, *near_end_;
  float max_, reach_ = 0;
};

// Keeps the first `count` of the ranking. REQUIRES: ranking[count - 1] was asked for.
inline void keep_first(Candidates& candidates, uint32_t count) {
  candidates.size = count;
  candidates.sorted = true;
}

inline void keep_greatest(Candidates& candidates) {
  candidates.data[0] = greatest(candidates);
  keep_first(candidates, 1);
}

// Keeps the candidates for which `keep` is true, in their order. Where no finite one is left, keeps
// only the one with the largest logit.
template <class Keep>
void keep_if(Candidates& candidates, const Keep& keep) {
  const auto all = candidates.all();
  const Candidate likeliest = greatest(candidates);
  uint32_t kept = 0;
  bool some_finite = false;
  for (const Candidate candidate : all) {
    if (!keep(candidate)) continue;
    some_finite |= candidate.logit > -INFINITY;
    all[kept++] = candidate;
  }
  if (!some_finite) {
    all.front() = likeliest;
    kept = 1;
  }
  candidates.size = kept;
}

// The softmax in two numbers: p(c) = exp(c.logit - max) / sum.
struct SoftmaxScale {
  float max;   // the largest logit
  double sum;  // of exp(logit - max)
  double probability(float logit) const {
    return std::exp(static_cast<double>(logit) - static_cast<double>(max)) / sum;
  }
  // The logit of a candidate that has this probability.
  double logit(double probability) const {
    return static_cast<double>(max) + std::log(probability * sum);
  }
  // ln p; -infinity for a logit of -infinity.
  double log_probability(float logit) const {
    return static_cast<double>(logit) - static_cast<double>(max) - std::log(sum);
  }
};

// e^x for -87 <= x <= 0, to 2 units in the last place. It has no branch and no call, so that
// compilers vectorise a loop over it. Source: Cephes, expf.c.
inline float exp_of_negative(float x) {
  constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504088896341f + kRounding;
  const float n = shifted - kRounding;  // x = n ln 2 + r
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // p * 2^n: the low bits of `shifted` are n, which is added to the exponent of p.
  return std::bit_cast<float>(std::bit_cast<uint32_t>(p) +
                              (std::bit_cast<uint32_t>(shifted) << 23));
}

inline SoftmaxScale softmax_scale(const Candidates& candidates) {
  const float max = greatest_logit(candidates);
  return {max, passes::sum_below(candidates, max, [](float x) { return exp_of_negative(x); })};
}

// Keeps the candidates with probability >= `min`, and those that tie with the largest.
inline void keep_probable(Candidates& candidates, const SoftmaxScale& scale, double min) {
  const double floor = scale.logit(min);
  keep_if(candidates, [&](const Candidate& c) { return c.logit >= floor || c.logit == scale.max; });
}

// -sum p ln p, in nats.
inline double entropy(const Candidates& candidates, const SoftmaxScale& scale) {
  const auto term = [](float x) { return x * exp_of_negative(x); };
  return std::log(scale.sum) - passes::sum_below(candidates, scale.max, term) / scale.sum;
}

// The sequence's own random numbers: same seed, same draws, whoever draws.
class Random {
 public:
  virtual double uniform() noexcept = 0;  // in [0, 1), 53 bits

 protected:
  ~Random() = default;
};

// Draws one candidate from the softmax by inverting the cumulative distribution over the ranking,
// and keeps only that one. Uses exactly one random number.
inline void draw(Candidates& candidates, Random& random) {
  const SoftmaxScale scale = softmax_scale(candidates);
  const double target = random.uniform();
  Ranking ranking(candidates, scale.max);
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
