// Repetition penalty: tokens that were already there lose, each once however often it was there.
//
//   logit < 0: logit * penalty, else logit / penalty
#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "penalty",
               .type = OptionType::number,
               .default_value = "1.1",
               .help = "divides positive logits and multiplies negative ones; 1: off",
               .minimum = 0.01,
               .maximum = 100},
    OptionInfo{.name = "range",
               .type = OptionType::integer,
               .default_value = "0",
               .help = "how many of the latest tokens count, the prompt's included; 0: all",
               .minimum = 0,
               .maximum = 1 << 30},
};

class RepetitionPenalty final : public Sampler {
 public:
  explicit RepetitionPenalty(const Options& options)
      : penalty_(options.number("penalty")),
        range_(static_cast<size_t>(options.integer("range"))) {}

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    return guard([&] {
      if (penalty_ == 1) return;
      mark(candidates, context.history);
      candidates.sorted = false;
      for (Candidate& candidate : candidates.all())
        if (marked_at_[static_cast<size_t>(candidate.id)] == call_)
          candidate.logit = penalised(candidate.logit);
    });
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  void mark(const Candidates& candidates, std::span<const int32_t> history) {
    int32_t last_id = 0;
    for (const Candidate& candidate : candidates.all()) last_id = std::max(last_id, candidate.id);
    const size_t ids = static_cast<size_t>(last_id) + 1;
    if (marked_at_.size() < ids) marked_at_.resize(ids);
    ++call_;
    const size_t count = range_ == 0 ? history.size() : std::min(range_, history.size());
    for (const int32_t id : history.last(count))
      if (id >= 0 && static_cast<size_t>(id) < ids) marked_at_[static_cast<size_t>(id)] = call_;
  }
  float penalised(float logit) const {
    constexpr double kMax = std::numeric_limits<float>::max();
    if (logit < -kMax) return logit;
    return static_cast<float>(
        std::clamp(logit < 0 ? logit * penalty_ : logit / penalty_, -kMax, kMax));
  }

  double penalty_;
  size_t range_;
  std::vector<uint32_t> marked_at_;  // by id: the call that last found it in the history
  uint32_t call_ = 0;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, RepetitionPenalty>({
    .name = "repetition-penalty",
    .version = "1.0.0",
    .help = "Makes tokens less likely that were there already",
    .source = "arXiv 1909.05858; huggingface/transformers generation/logits_process.py",
    .options = kOptions,
});
