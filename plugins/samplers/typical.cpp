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
    const double expected = entropy(candidates, scale);
    const auto strangeness = [&](const Candidate& c) {
      return std::abs(-scale.log_probability(c.logit) - expected);
    };
    const auto all = candidates.all();
    std::sort(all.begin(), all.end(), [&](const Candidate& a, const Candidate& b) {
      const double x = strangeness(a), y = strangeness(b);
      return x != y ? x < y : precedes(a, b);
    });
    double kept = 0;
    uint32_t count = 0;
    do kept += scale.probability(all[count++].logit);
    while (kept < mass_ && count < candidates.size);
    const double last = strangeness(all[count - 1]);
    while (count < candidates.size && strangeness(all[count]) == last) ++count;
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
