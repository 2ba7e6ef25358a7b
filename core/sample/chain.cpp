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

// Sentinels on both sides of the candidates. A link that writes past them is found before anything
// is read that it may have overwritten.
constexpr abi::Candidate kSentinel = {0x5e47135e, -1.2345e-33f};

bool is_sentinel(const abi::Candidate& candidate) {
  return candidate.id == kSentinel.id && candidate.logit == kSentinel.logit;
}

// Checks the contract of abi/sampler.h after a link has run. Later links and the engine index by
// id.
void check_link(const ChainLink& link, const abi::Candidates& before, const abi::Candidates& after,
                size_t vocab) {
  if (after.data != before.data) refuse_link(link, "moved the candidates to another place");
  if (after.size == 0) refuse_link(link, "left no candidate, expected at least one");
  if (after.size > before.size)
    refuse_link(link, fmt::format("left {} candidates of {}", after.size, before.size));
  // Looks at all candidates instead of stopping at the first bad one: only such loops are
  // vectorised.
  uint32_t bad = 0;
  for (const abi::Candidate& candidate : after.all()) {
    bad |= !is_logit(candidate.logit);
    bad |= static_cast<uint32_t>(candidate.id) >= static_cast<uint32_t>(vocab);
  }
  if (bad != 0 || std::ranges::none_of(after.all(), is_finite, &abi::Candidate::logit))
    refuse_candidates(link, after, vocab);
}

// The id of the largest logit, ties to the lower id. Compilers vectorise the maximum of a block,
// kept in independent lanes; std::max_element takes ten times as long.
int32_t largest_id(std::span<const float> logits) {
  constexpr size_t kLanes = 16, kBlock = 512;
  const auto largest_of = [](std::span<const float> block) {
    float lanes[kLanes];
    std::fill_n(lanes, kLanes, block[0]);
    size_t i = 0;
    for (; i + kLanes <= block.size(); i += kLanes)
      for (size_t lane = 0; lane < kLanes; ++lane)
        lanes[lane] = std::max(lanes[lane], block[i + lane]);
    for (; i < block.size(); ++i) lanes[0] = std::max(lanes[0], block[i]);
    return *std::max_element(lanes, lanes + kLanes);
  };
  float largest = -std::numeric_limits<float>::infinity();
  std::span<const float> found = logits.first(0);
  for (size_t at = 0; at < logits.size(); at += kBlock) {
    const auto block = logits.subspan(at, std::min(kBlock, logits.size() - at));
    const float here = largest_of(block);
    if (here <= largest) continue;
    largest = here;
    found = block;
  }
  return static_cast<int32_t>(std::ranges::find(found, largest) - found.begin() +
                              (found.data() - logits.data()));
}

}  // namespace

Chain::Chain(std::vector<ChainLink> links, uint64_t seed)
    : links_(std::move(links)), random_(seed) {}

int32_t Chain::sample(std::span<const float> logits, std::span<const int32_t> history,
                      uint32_t prompt_length) {
  if (links_.empty()) {
    const int32_t id = largest_id(logits);
    if (keeps_choices_) choices_ = {{id, logits[static_cast<size_t>(id)]}};
    return id;
  }

  candidates_.resize(logits.size() + 2);
  candidates_.front() = candidates_.back() = kSentinel;
  abi::Candidate* const first = &candidates_[1];
  for (size_t i = 0; i < logits.size(); ++i) first[i] = {static_cast<int32_t>(i), logits[i]};
  abi::Candidates live{first, static_cast<uint32_t>(logits.size()), false};
  const abi::SampleContext context{history, prompt_length, &random_};
  for (const ChainLink& link : links_) {
    const abi::Candidates before = live;
    const abi::Status status = link.sampler->apply(live, context);
    if (!is_sentinel(candidates_.front()) || !is_sentinel(candidates_.back()))
      refuse_link(link, "wrote past the candidates that it was given");
    if (!status.ok()) check(status, "sampler " + link.name);
    check_link(link, before, live, logits.size());
  }

  if (keeps_choices_) choices_.assign(live.data, live.data + live.size);
  if (live.size > 1) abi::draw(live, random_);
  const int32_t id = live.data->id;
  for (const ChainLink& link : links_)
    if (const abi::Status status = link.sampler->accept(id); !status.ok())
      check(status, "sampler " + link.name);
  return id;
}

}  // namespace ropewalk
