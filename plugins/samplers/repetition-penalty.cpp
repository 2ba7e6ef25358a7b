// Repetition penalty: tokens that were already there lose, each once however often it was there.
//
//   logit < 0: logit * penalty, else logit / penalty
#include <algorithm>
#include <array>
#include <limits>
#include <utility>
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
      candidates.sorted = false;
      ++call_;
      const auto all = candidates.all();
      const size_t count =
          range_ == 0 ? context.history.size() : std::min(range_, context.history.size());
      // At the top of a chain the candidate of an id stands at the id's place, and a look at the
      // history is enough. Those that do not stand there are looked for in one pass.
      bool some_elsewhere = false;
      for (const int32_t id : context.history.last(count)) {
        if (id < 0 || !mark(static_cast<size_t>(id))) continue;
        const bool in_place = static_cast<size_t>(id) < all.size() && all[id].id == id;
        if (in_place) penalise(all[id]);
        some_elsewhere |= !in_place;
      }
      if (!some_elsewhere) return;
      for (size_t i = 0; i < all.size(); ++i)
        if (const auto id = static_cast<size_t>(all[i].id); id != i && is_marked(id))
          penalise(all[i]);
    });
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  // True the first time in a call.
  bool mark(size_t id) {
    if (id >= marked_at_.size()) marked_at_.resize(id + 1);
    return std::exchange(marked_at_[id], call_) != call_;
  }
  bool is_marked(size_t id) const { return id < marked_at_.size() && marked_at_[id] == call_; }
  void penalise(Candidate& candidate) const {
    constexpr double kMax = std::numeric_limits<float>::max();
    const float logit = candidate.logit;
    if (logit < -kMax) return;
    candidate.logit = static_cast<float>(
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
