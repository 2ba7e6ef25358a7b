// Top-p (nucleus): the fewest likeliest candidates whose probabilities add up to p, the one that
// crosses p included.
#include <algorithm>
#include <array>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "p",
               .type = OptionType::number,
               .default_value = "0.9",
               .help = "probability to keep, the token that crosses it included; 1: all, 0: one",
               .minimum = 0,
               .maximum = 1},
};

class TopP final : public Sampler {
 public:
  explicit TopP(const Options& options) : p_(options.number("p")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (p_ >= 1) return {};
    const SoftmaxScale scale = softmax_scale(candidates);
    const auto begin = candidates.data, end = begin + candidates.size;
    auto sorted_end = candidates.sorted ? end : begin;
    auto next = begin;
    double kept = 0;
    do {
      if (next == sorted_end) sorted_end = sort_more(begin, sorted_end, end);
      kept += scale.probability(next->logit);
      ++next;
    } while (kept < p_ && next != end);
    candidates.size = static_cast<uint32_t>(next - begin);
    candidates.sorted = true;
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  // Most of a vocabulary is never looked at, so the order is made piece by piece: the returned end
  // is four times as far as `sorted_end`.
  static Candidate* sort_more(Candidate* begin, Candidate* sorted_end, Candidate* end) {
    const auto wanted = std::max<ptrdiff_t>(64, 4 * (sorted_end - begin));
    Candidate* const next_end = begin + std::min(wanted, end - begin);
    std::nth_element(sorted_end, next_end - 1, end, precedes);
    std::sort(sorted_end, next_end, precedes);
    return next_end;
  }

  double p_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, TopP>({
    .name = "top-p",
    .version = "1.0.0",
    .help = "Keeps the likeliest candidates that make up probability p",
    .source = "huggingface/transformers generation/logits_process.py TopPLogitsWarper",
    .options = kOptions,
});
