// Top-n-sigma: candidates within n standard deviations of the max logit. The deviation is the
// population's, over all logits above -inf. A temperature before or after it does not change which
// candidates stay.
//
//   keep where logit >= max - n * sigma
#include <algorithm>
#include <array>
#include <cmath>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "n",
               .type = OptionType::number,
               .default_value = "1",
               .help = "how many standard deviations below the max logit; 0: all",
               .minimum = 0,
               .maximum = 1000},
};

class TopNSigma final : public Sampler {
 public:
  explicit TopNSigma(const Options& options) : n_(options.number("n")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (n_ == 0) return {};
    double count = 0, sum = 0, squares = 0, max = -INFINITY;
    for (const Candidate& c : candidates.all()) {
      if (c.logit == -INFINITY) continue;
      max = std::max(max, static_cast<double>(c.logit));
      count += 1;
      sum += c.logit;
    }
    const double mean = sum / count;
    for (const Candidate& c : candidates.all())
      if (c.logit > -INFINITY) squares += (c.logit - mean) * (c.logit - mean);
    const double min = max - n_ * std::sqrt(squares / count);
    keep_if(candidates, [&](const Candidate& c) { return c.logit >= min; });
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double n_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, TopNSigma>({
    .name = "top-n-sigma",
    .version = "1.0.0",
    .help = "Keeps candidates within n standard deviations of the max",
    .source = "arXiv 2411.07641; ggml-org/llama.cpp src/llama-sampling.cpp top_n_sigma",
    .options = kOptions,
});
