// Tail-free sampling: cuts where the sorted probabilities stop bending. Of the second differences'
// absolute values, scaled to add up to 1, those up to z are passed over; the last candidate is
// always of the tail.
#include <array>
#include <cmath>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "z",
               .type = OptionType::number,
               .default_value = "0.95",
               .help = "share of the bending to keep; 1: all",
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
    const auto bend = [&](uint32_t i) {
      const auto p = [&](uint32_t k) { return scale.probability(candidates.data[k].logit); };
      return std::abs(p(i + 2) - 2 * p(i + 1) + p(i));
    };
    const uint32_t bends = candidates.size - 2;
    double all = 0, passed = 0;
    for (uint32_t i = 0; i < bends; ++i) all += bend(i);
    if (all == 0) return {};  // a straight line has no tail
    uint32_t kept = 1;
    while (kept <= bends && (passed += bend(kept - 1)) <= z_ * all) ++kept;
    candidates.size = kept;
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
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
