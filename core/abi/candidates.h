// candidates.h — the candidates for the next token, and what most links of a chain do with them.
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

// The live candidates, at least one. A link may reorder and shrink them, never to none and never
// grow them. On entry to the chain they are in order of id and finite or -inf, at least one finite.
struct Candidates {
  Candidate* data;
  uint32_t size;
  // Greatest logit first, ties to the lower id. A link that breaks the order clears it.
  bool sorted;

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

// Passes over a whole vocabulary go in blocks of logits copied out of the candidates, summed or
// compared in lanes beside each other: compilers make vector code of such loops, and the order of
// the additions is the same everywhere.
namespace passes {

inline constexpr uint32_t kBlock = 256, kLanes = 8;

// Calls look(logits) for a pointer to each kBlock logits, the last filled up with -infinity.
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

// The sum of term(x) over x = logit - greatest, which is at most 0 and here at least -87: e^-87 is
// nothing beside the 1 that the greatest adds.
template <class Term>
double sum_below(const Candidates& candidates, float greatest, const Term& term) {
  double lanes[kLanes] = {};
  for_each_block(candidates, [&](float* logits) {
    for (uint32_t i = 0; i < kBlock; ++i) logits[i] = std::max(logits[i] - greatest, -87.0f);
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
  float greatest[kLanes];
  std::fill_n(greatest, kLanes, -INFINITY);
  passes::for_each_block(candidates, [&](const float* logits) {
    for (uint32_t i = 0; i < passes::kBlock; i += kLanes)
      for (uint32_t lane = 0; lane < kLanes; ++lane)
        greatest[lane] = std::max(greatest[lane], logits[i + lane]);
  });
  return *std::max_element(greatest, greatest + kLanes);
}

// The likeliest; of equals the one with the lowest id.
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

// Puts the next of [sorted_end, end) in order, in all four times as many as before, and returns
// where those end.
template <class Before>
Candidate* sort_more(Candidate* begin, Candidate* sorted_end, Candidate* end,
                     const Before& before) {
  const auto wanted = std::max<ptrdiff_t>(64, 4 * (sorted_end - begin));
  Candidate* const next = begin + std::min(wanted, end - begin);
  if (next < end) std::nth_element(sorted_end, next - 1, end, before);
  std::sort(sorted_end, next, before);
  return next;
}

// The candidates by rank, 0 being the greatest. Few links look far down a vocabulary, so only as
// much of the order is made as was asked for, four times as much at each turn, and only among the
// candidates near the greatest while those last.
class Ranking {
 public:
  // `greatest` is the largest logit. softmax_scale() has already computed it as `max`.
  Ranking(const Candidates& candidates, float greatest)
      : begin_(candidates.data),
        end_(begin_ + candidates.size),
        sorted_end_(candidates.sorted ? end_ : begin_),
        near_end_(sorted_end_),
        greatest_(greatest) {}

  // REQUIRES: rank < size.
  const Candidate& operator[](uint32_t rank) {
    while (begin_ + rank >= sorted_end_) {
      while (near_end_ == sorted_end_) widen();
      sorted_end_ = sort_more(begin_, sorted_end_, near_end_, precedes);
    }
    return begin_[rank];
  }

 private:
  static constexpr float kFirstReach = 4;   // e^-4 = 0.02 of the greatest's probability
  static constexpr float kLastReach = 100;  // further down no probability is worth a search

  // Brings those within `reach_` of the greatest to the front of what is not sorted yet.
  void widen() {
    reach_ = reach_ == 0 ? kFirstReach : 2 * reach_;
    const float floor = reach_ > kLastReach ? -INFINITY : greatest_ - reach_;
    near_end_ =
        std::partition(sorted_end_, end_, [floor](const Candidate& c) { return c.logit >= floor; });
  }

  // [begin, sorted end) is in order, [sorted end, near end) follows it, the rest comes last.
  Candidate *begin_, *end_, *sorted_end_, *near_end_;
  float greatest_, reach_ = 0;
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

// Keeps those for which `keep` says so, in the order they have; the greatest alone where it says so
// for none that is more than -inf.
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

// The greatest logit and the sum of exp(logit - greatest) in double: p(c) = exp(c.logit - max) /
// sum.
struct SoftmaxScale {
  float max;
  double sum;
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

// e^x for -87 <= x <= 0, to 2 units in the last place. Without a branch or a call, so that
// compilers make vector code of a loop over it. Source: Cephes, expf.c.
inline float exp_of_negative(float x) {
  constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: a sum's last bit is worth 1
  const float turns = x * 1.44269504088896341f + kRounding;
  const float n = turns - kRounding;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // The low bits of `turns` are n; moved up they are an exponent.
  return std::bit_cast<float>(std::bit_cast<uint32_t>(p) + (std::bit_cast<uint32_t>(turns) << 23));
}

inline SoftmaxScale softmax_scale(const Candidates& candidates) {
  const float max = greatest_logit(candidates);
  return {max, passes::sum_below(candidates, max, [](float x) { return exp_of_negative(x); })};
}

// Keeps those of at least this probability, and what is as likely as the likeliest.
inline void keep_probable(Candidates& candidates, const SoftmaxScale& scale, double least) {
  const double floor = scale.logit(least);
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

// Draws one from the softmax, by the inverse of the cumulative sum over the ranking, and keeps it
// alone. Uses exactly one random number.
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
