// Draw: one candidate by the probabilities. A chain that ends with more than one does the same by
// itself; this makes it explicit, and later links see the choice.
#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

class Draw final : public Sampler {
 public:
  explicit Draw(const Options&) {}

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    if (candidates.size > 1) draw(candidates, *context.random);
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Draw>({
    .name = "draw",
    .version = "1.0.0",
    .help = "Draws one candidate from the softmax, as the end of a chain does by itself",
    .source = "Ropewalk",
});
