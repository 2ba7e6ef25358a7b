// Frequency and presence penalty, for a token that occurred `count` times:
//
//   logit - count * frequency - (presence, where count > 0)
//
// OpenAI and vLLM count the reply alone, llama.cpp and exllamav2 the prompt too: hence `scope`.
#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "plugins/samplers/shared/per_id.h"

namespace {

using namespace ropewalk::abi;
using namespace ropewalk::samplers;

constexpr std::array kOptions = {
    OptionInfo{.name = "frequency",
               .type = OptionType::number,
               .default_value = "0",
               .help = "subtracted from a logit for each occurrence of its token",
               .minimum = -100,
               .maximum = 100},
    OptionInfo{.name = "presence",
               .type = OptionType::number,
               .default_value = "0",
               .help = "subtracted once from the logit of a token that occurred",
               .minimum = -100,
               .maximum = 100},
    OptionInfo{.name = "scope",
               .type = OptionType::text,
               .default_value = "generated",
               .help = "generated: the reply alone, as OpenAI counts; all: the prompt too"},
    OptionInfo{.name = "range",
               .type = OptionType::integer,
               .default_value = "0",
               .help = "how many of the latest tokens count; 0: all",
               .minimum = 0,
               .maximum = 1 << 30},
};

bool counts_prompt(std::string_view scope) {
  if (scope != "generated" && scope != "all")
    throw Failure(StatusCode::invalid_argument,
                  "scope is " + std::string(scope) + ", expected generated or all");
  return scope == "all";
}

class FrequencyPresence final : public Sampler {
 public:
  explicit FrequencyPresence(const Options& options)
      : frequency_(options.number("frequency")),
        presence_(options.number("presence")),
        counts_prompt_(counts_prompt(options.text("scope"))),
        range_(static_cast<size_t>(options.integer("range"))),
        counts_(options.host()) {}

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    return guard([&] {
      if (frequency_ == 0 && presence_ == 0) return;
      counts_.clear();
      const auto ids = context.history.subspan(
          counts_prompt_ ? 0 : std::min<size_t>(context.prompt_length, context.history.size()));
      for (const int32_t id : latest(ids, range_))
        if (id >= 0) ++counts_.at(id);
      counts_.change(candidates, [this](float logit, uint32_t count) {
        constexpr double kMax = std::numeric_limits<float>::max();
        if (logit < -kMax) return logit;
        return static_cast<float>(std::clamp(logit - count * frequency_ - presence_, -kMax, kMax));
      });
    });
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double frequency_, presence_;
  bool counts_prompt_;
  size_t range_;
  PerId<uint32_t> counts_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, FrequencyPresence>({
    .name = "frequency-presence",
    .version = "1.0.0",
    .help = "Makes tokens less likely the more often they occurred",
    .source = "OpenAI API reference; ggml-org/llama.cpp src/llama-sampling.cpp penalties",
    .options = kOptions,
});
