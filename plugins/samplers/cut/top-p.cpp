// Top-p (nucleus): the smallest set of the likeliest candidates whose probabilities add up to at
// least p.
#include <array>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{
        .name = "p",
        .type = OptionType::number,
        .default_value = "0.9",
        .help =
            "probability to keep, the token that crosses it too (as transformers); 1: all, 0: one",
        .minimum = 0,
        .maximum = 1},
};

class TopP final : public Sampler {
 public:
  explicit TopP(const Options& options) : p_(options.number("p")) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (p_ >= 1) return {};
    const SoftmaxScale scale = softmax_scale(candidates);
    Ranking ranking(candidates, scale.max);
    double kept = 0;
    uint32_t count = 0;
    do kept += scale.probability(ranking[count++].logit);
    while (kept < p_ && count < candidates.size);
    keep_first(candidates, count);
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
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
