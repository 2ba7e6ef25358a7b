// Tail-free sampling: cuts where the sorted probabilities stop bending. The absolute second
// differences are scaled to add up to 1; the tail starts where their cumulative sum passes z. The
// last candidate always belongs to the tail.
#include <array>
#include <cmath>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "z",
               .type = OptionType::number,
               .default_value = "0.95",
               .help = "share of the curvature to keep; 1: all",
               .minimum = 0,
               .maximum = 1},
};

class TailFree final : public Sampler {
 public:
  explicit TailFree(const Options& options) : z_(options.number("z")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (z_ >= 1 || candidates.size <= 2) return {};
    sort(candidates);
    const SoftmaxScale scale = softmax_scale(candidates);
    double all = 0, passed = 0;
    for_each_bend(candidates, scale, [&](uint32_t, double bend) {
      all += bend;
      return true;
    });
    if (all == 0) return {};  // a straight line has no tail
    uint32_t kept = candidates.size - 1;
    for_each_bend(candidates, scale, [&](uint32_t rank, double bend) {
      passed += bend;
      if (passed > z_ * all) kept = rank + 1;
      return passed <= z_ * all;
    });
    candidates.size = kept;
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  // Calls take(rank, |p[rank] - 2 p[rank + 1] + p[rank + 2]|) from the first rank on, until it says
  // false.
  template <class Take>
  static void for_each_bend(const Candidates& candidates, const SoftmaxScale& scale,
                            const Take& take) {
    const auto p = [&](uint32_t rank) { return scale.probability(candidates.data[rank].logit); };
    double first = p(0), second = p(1);
    for (uint32_t rank = 0; rank + 2 < candidates.size; ++rank) {
      const double third = p(rank + 2);
      if (!take(rank, std::abs(third - 2 * second + first))) return;
      first = second;
      second = third;
    }
  }

  double z_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, TailFree>({
    .name = "tail-free",
    .version = "1.0.0",
    .help = "Drops the tail, where sorted probabilities stop bending",
    .source = "trentbrick.github.io/Tail-Free-Sampling; oobabooga/text-generation-webui "
              "modules/sampler_hijack.py TailFreeLogitsWarper",
    .options = kOptions,
});
