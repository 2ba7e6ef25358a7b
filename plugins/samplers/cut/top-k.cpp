// Top-k: the k likeliest candidates, and those as likely as the last of them.
#include <algorithm>
#include <array>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "k",
               .type = OptionType::integer,
               .default_value = "50",
               .help = "how many candidates stay, ties of the last too (as transformers); 0: all",
               .minimum = 0,
               .maximum = 1 << 30},
};

class TopK final : public Sampler {
 public:
  explicit TopK(const Options& options) : k_(static_cast<uint32_t>(options.integer("k"))) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    if (k_ == 0 || k_ >= candidates.size) return {};
    const auto begin = candidates.data, end = begin + candidates.size, kth = begin + k_ - 1;
    if (!candidates.sorted) std::nth_element(begin, kth, end, precedes);
    const float min = kth->logit;
    const auto kept =
        std::partition(kth + 1, end, [&](const Candidate& c) { return c.logit == min; });
    candidates.size = static_cast<uint32_t>(kept - begin);
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  uint32_t k_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, TopK>({
    .name = "top-k",
    .version = "1.0.0",
    .help = "Keeps the k likeliest candidates and ties of the last",
    .source = "huggingface/transformers generation/logits_process.py TopKLogitsWarper",
    .options = kOptions,
});
