// Min-p: candidates at least p times as likely as the likeliest. In logits, because the softmax's
// sum cancels:
//
//   keep where logit >= max + ln p
#include <algorithm>
#include <array>
#include <cmath>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "p",
               .type = OptionType::number,
               .default_value = "0.05",
               .help = "min probability, as a share of the max (as transformers); 0: all",
               .minimum = 0,
               .maximum = 1},
};

class MinP final : public Sampler {
 public:
  explicit MinP(const Options& options) : log_p_(std::log(options.number("p"))) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    const auto all = candidates.all();
    const double min = greatest_logit(candidates) + log_p_;
    const auto end =
        std::remove_if(all.begin(), all.end(), [&](const Candidate& c) { return c.logit < min; });
    candidates.size = static_cast<uint32_t>(end - all.begin());
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double log_p_;  // -infinity: keep all
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, MinP>({
    .name = "min-p",
    .version = "1.0.0",
    .help = "Drops candidates far less likely than the likeliest",
    .source = "huggingface/transformers generation/logits_process.py MinPLogitsWarper",
    .options = kOptions,
});
