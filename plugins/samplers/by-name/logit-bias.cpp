// Logit bias: a number added to the logits of some tokens. -100 practically bans a token, 100
// practically forces it.
#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "plugins/samplers/shared/per_id.h"
#include "plugins/samplers/shared/token_texts.h"

namespace {

using namespace ropewalk::abi;
using namespace ropewalk::samplers;

constexpr std::array kOptions = {
    OptionInfo{.name = "ids",
               .type = OptionType::numbers,
               .default_value = "",
               .help = "the token ids",
               .minimum = 0},
    OptionInfo{.name = "bias",
               .type = OptionType::numbers,
               .default_value = "-100",
               .help = "what is added: one number for all of them, or one for each",
               .minimum = -1000,
               .maximum = 1000},
};

class LogitBias final : public Sampler {
 public:
  explicit LogitBias(const Options& options) : biases_(options.host()) {
    const std::vector<int32_t> ids = id_list(options, "ids");
    const std::vector<double> biases = options.numbers("bias");
    if (biases.size() != 1 && biases.size() != ids.size())
      throw Failure(StatusCode::invalid_argument,
                    "bias has " + std::to_string(biases.size()) + " numbers, expected 1 or " +
                        std::to_string(ids.size()) + ", one for each id");
    biases_.clear();
    for (size_t i = 0; i < ids.size(); ++i)
      biases_.at(ids[i]) += biases[biases.size() == 1 ? 0 : i];
  }

  Status apply(Candidates& candidates, const SampleContext&) noexcept override {
    biases_.change(candidates, [](float logit, double bias) {
      constexpr double kMax = std::numeric_limits<float>::max();
      return logit < -kMax ? logit : static_cast<float>(std::clamp(logit + bias, -kMax, kMax));
    });
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  PerId<double> biases_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, LogitBias>({
    .name = "logit-bias",
    .version = "1.0.0",
    .help = "Adds a number to the logits of some tokens",
    .source = "OpenAI API reference logit_bias; huggingface/transformers "
              "generation/logits_process.py SequenceBiasLogitsProcessor",
    .options = kOptions,
});
