// Greedy: the largest logit, ties to the lower id. Ends a chain; without it a chain ends in a draw.
#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

class Greedy final : public Sampler {
 public:
  explicit Greedy(const Options&) {}

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    keep_greatest(candidates);
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Greedy>({
    .name = "greedy",
    .version = "1.0.0",
    .help = "Keeps the candidate with the largest logit, ties to the lower id",
    .source = "Ropewalk",
});
