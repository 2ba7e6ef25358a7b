// Locally typical sampling: candidates whose surprise is nearest to the expected one, the entropy,
// until they make up the mass. The one that crosses it stays, and so do its equals.
//
//   by |-ln p - H|, ascending
#include <algorithm>
#include <array>
#include <cmath>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "p",
               .type = OptionType::number,
               .default_value = "0.95",
               .help = "probability to keep, the token that crosses it included; 1: all",
               .minimum = 0.0001,
               .maximum = 1},
};

class Typical final : public Sampler {
 public:
  explicit Typical(const Options& options) : mass_(options.number("p")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (mass_ >= 1 || candidates.size < 2) return {};
    const SoftmaxScale scale = softmax_scale(candidates);
    // -ln p - H is how far a logit lies from the one that is as surprising as expected.
    const double expected = scale.logit(std::exp(-entropy(candidates, scale)));
    const auto strangeness = [&](const Candidate& c) { return std::abs(c.logit - expected); };
    const auto before = [&](const Candidate& a, const Candidate& b) {
      const double x = strangeness(a), y = strangeness(b);
      return x != y ? x < y : precedes(a, b);
    };
    Candidate* const begin = candidates.data;
    Candidate* const end = begin + candidates.size;
    Candidate* sorted_end = begin;
    const auto at = [&](uint32_t rank) {
      if (begin + rank >= sorted_end) sorted_end = sort_more(begin, sorted_end, end, before);
      return begin[rank];
    };
    double kept = 0;
    uint32_t count = 0;
    do kept += scale.probability(at(count++).logit);
    while (kept < mass_ && count < candidates.size);
    const double last = strangeness(at(count - 1));
    while (count < candidates.size && strangeness(at(count)) == last) ++count;
    candidates.size = count;
    candidates.sorted = false;
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double mass_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Typical>({
    .name = "typical",
    .version = "1.0.0",
    .help = "Keeps candidates that are about as surprising as expected",
    .source = "arXiv 2202.00666; huggingface/transformers generation/logits_process.py "
              "TypicalLogitsWarper",
    .options = kOptions,
});
