#include "core/sample/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/error.h"

namespace ropewalk {
namespace {

// False for NaN too, for which every comparison fails.
bool is_logit(float x) { return x <= std::numeric_limits<float>::max(); }
bool is_finite(float x) { return !std::isinf(x); }  // of logits

[[noreturn]] void refuse_logits(size_t position, const std::string& found) {
  throw Error(ExitCode::non_finite, "logits",
              fmt::format("found {} at position {}, expected numbers", found, position),
              "The checkpoint is damaged or its numbers overflow: see ropewalk inspect --verify");
}

// Here and below a flag is gathered over a vocabulary instead of leaving at the first bad one,
// because compilers turn only such loops into vector code.
void check_logits(std::span<const float> logits, size_t position) {
  uint32_t bad = 0;
  for (const float logit : logits) bad |= !is_logit(logit);
  if (bad != 0) {
    const auto first = std::ranges::find_if_not(logits, is_logit);
    refuse_logits(position, fmt::format("{} for id {}", *first, first - logits.begin()));
  }
  if (std::ranges::none_of(logits, is_finite)) refuse_logits(position, "nothing but -inf");
}

[[noreturn]] void refuse_link(const ChainLink& link, const std::string& what) {
  throw Error(ExitCode::plugin, "sampler " + link.name, what,
              "Remove it from the sampling list, or correct its code");
}

[[noreturn]] void refuse_candidates(const ChainLink& link, const abi::Candidates& candidates,
                                    size_t vocab) {
  for (const abi::Candidate& candidate : candidates.all())
    if (!is_logit(candidate.logit))
      refuse_link(link, fmt::format("made {} the logit of id {}, expected a number",
                                    candidate.logit, candidate.id));
  for (const abi::Candidate& candidate : candidates.all())
    if (static_cast<uint32_t>(candidate.id) >= vocab)
      refuse_link(link, fmt::format("made the id {}, expected 0 to {}", candidate.id, vocab - 1));
  refuse_link(link, "left nothing but candidates of logit -inf");
}

// What abi/sampler.h asks of a link, after it has run. Later links and the engine index by id.
void check_link(const ChainLink& link, const abi::Candidates& before, const abi::Candidates& after,
                size_t vocab) {
  if (after.data != before.data) refuse_link(link, "moved the candidates to another place");
  if (after.size == 0) refuse_link(link, "left no candidate, expected at least one");
  if (after.size > before.size)
    refuse_link(link, fmt::format("left {} candidates of {}", after.size, before.size));
  uint32_t bad = 0;
  for (const abi::Candidate& candidate : after.all()) {
    bad |= !is_logit(candidate.logit);
    bad |= static_cast<uint32_t>(candidate.id) >= static_cast<uint32_t>(vocab);
  }
  if (bad != 0 || std::ranges::none_of(after.all(), is_finite, &abi::Candidate::logit))
    refuse_candidates(link, after, vocab);
}

// Draws from the softmax by inverse CDF over abi::precedes. Few draws reach far down that order, so
// only as much of it as the draw needs is sorted, four times as much at each turn.
int32_t draw(const abi::Candidates& candidates, abi::Random& random) {
  const abi::SoftmaxScale scale = abi::softmax_scale(candidates);
  const double target = random.uniform();
  const auto begin = candidates.data;
  const auto end = begin + candidates.size;
  auto sorted_end = candidates.sorted ? end : begin;
  double reached = 0;
  int32_t last = begin->id;
  for (auto candidate = begin; candidate != end; ++candidate) {
    if (candidate == sorted_end) {
      const ptrdiff_t wanted = std::max<ptrdiff_t>(64, 4 * (sorted_end - begin));
      sorted_end = begin + std::min(wanted, end - begin);
      std::nth_element(candidate, sorted_end - 1, end, abi::precedes);
      std::sort(candidate, sorted_end, abi::precedes);
    }
    const double probability = scale.probability(candidate->logit);
    if (probability > 0) last = candidate->id;
    reached += probability;
    if (reached > target) break;
  }
  return last;
}

}  // namespace

Chain::Chain(std::vector<ChainLink> links, uint64_t seed)
    : links_(std::move(links)), random_(seed) {}

int32_t Chain::sample(std::span<const float> logits, std::span<const int32_t> history,
                      uint32_t prompt_length) {
  check_logits(logits, history.size());
  if (links_.empty())
    return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());

  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) candidates_[i] = {static_cast<int32_t>(i), logits[i]};
  abi::Candidates live{candidates_.data(), static_cast<uint32_t>(candidates_.size()), false};
  const abi::SampleContext context{history, prompt_length, &random_};
  for (const ChainLink& link : links_) {
    const abi::Candidates before = live;
    check(link.sampler->apply(live, context), "sampler " + link.name);
    check_link(link, before, live, logits.size());
  }

  const int32_t id = live.size == 1 ? live.data->id : draw(live, random_);
  for (const ChainLink& link : links_) check(link.sampler->accept(id), "sampler " + link.name);
  return id;
}

}  // namespace ropewalk
