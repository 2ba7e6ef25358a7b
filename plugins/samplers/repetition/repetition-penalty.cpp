// Repetition penalty: applied once to each token that occurred, however often.
//
//   logit < 0: logit * penalty, else logit / penalty
//
// With `decay` it fades as in exllama: it is whole within the latest `range` tokens and goes back
// to 1 in equal steps over the `decay` tokens before them. A token's latest occurrence counts.
#include <algorithm>
#include <array>
#include <limits>

#include "plugins/samplers/shared/per_id.h"

namespace {

using namespace ropewalk::abi;
using namespace ropewalk::samplers;

constexpr std::array kOptions = {
    OptionInfo{.name = "penalty",
               .type = OptionType::number,
               .default_value = "1.1",
               .help = "divides positive logits and multiplies negative ones; 1: off",
               .minimum = 0.01,
               .maximum = 100},
    OptionInfo{
        .name = "range",
        .type = OptionType::integer,
        .default_value = "0",
        .help = "how many of the latest tokens count, the prompt's too; 0: all (as transformers)",
        .minimum = 0,
        .maximum = 1 << 30},
    OptionInfo{.name = "decay",
               .type = OptionType::integer,
               .default_value = "0",
               .help = "tokens before the range over which the penalty fades (exllama's decay)",
               .minimum = 0,
               .maximum = 1 << 30},
};

class RepetitionPenalty final : public Sampler {
 public:
  explicit RepetitionPenalty(const Options& options)
      : penalty_(options.number("penalty")),
        range_(static_cast<size_t>(options.integer("range"))),
        decay_(range_ == 0 ? 0 : static_cast<size_t>(options.integer("decay"))),
        penalties_(options.host()) {}

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    return guard([&] {
      if (penalty_ == 1) return;
      penalties_.clear();
      const auto ids = latest(context.history, range_ == 0 ? 0 : range_ + decay_);
      for (size_t age = 0; age < ids.size(); ++age) {
        const int32_t id = ids[ids.size() - 1 - age];
        if (id < 0) continue;
        double& penalty = penalties_.at(id);
        if (penalty == 0) penalty = penalty_at(age);
      }
      penalties_.change(candidates, penalised);
    });
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  // Age 0 is the latest token. Whole up to and with the age `range`, as in exllama.
  double penalty_at(size_t age) const {
    if (decay_ == 0 || age <= range_) return penalty_;
    const auto past = static_cast<double>(age - range_);
    return penalty_ + (1 - penalty_) * past / static_cast<double>(decay_);
  }
  static float penalised(float logit, double penalty) {
    constexpr double kMax = std::numeric_limits<float>::max();
    if (logit < -kMax) return logit;
    return static_cast<float>(
        std::clamp(logit < 0 ? logit * penalty : logit / penalty, -kMax, kMax));
  }

  double penalty_;
  size_t range_, decay_;
  PerId<double> penalties_;  // 0: none yet
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, RepetitionPenalty>({
    .name = "repetition-penalty",
    .version = "1.1.0",
    .help = "Makes tokens less likely that already occurred",
    .source = "arXiv 1909.05858; huggingface/transformers generation/logits_process.py "
              "RepetitionPenaltyLogitsProcessor; turboderp/exllama rep_penalty.cpp",
    .options = kOptions,
});
