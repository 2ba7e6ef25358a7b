// Min length: a reply does not end before it has so many tokens.
#include <algorithm>
#include <array>
#include <vector>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "tokens",
               .type = OptionType::integer,
               .default_value = "0",
               .help = "new tokens before the first that may end the reply; 0: off",
               .minimum = 0,
               .maximum = 1 << 30},
};

class MinLength final : public Sampler {
 public:
  explicit MinLength(const Options& options)
      : tokens_(static_cast<uint64_t>(options.integer("tokens"))) {
    if (const Host* host = options.host())
      end_ids_.assign(host->end_ids().begin(), host->end_ids().end());
  }

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    if (context.history.size() >= context.prompt_length + tokens_) return {};
    keep_if(candidates, [this](const Candidate& c) {
      return std::find(end_ids_.begin(), end_ids_.end(), c.id) == end_ids_.end();
    });
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  uint64_t tokens_;
  std::vector<int32_t> end_ids_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, MinLength>({
    .name = "min-length",
    .version = "1.0.0",
    .help = "Keeps a reply from ending too early",
    .source = "huggingface/transformers generation/logits_process.py "
              "MinNewTokensLengthLogitsProcessor",
    .options = kOptions,
});
