// XTC, exclude top choices: sometimes, where several candidates are likely enough, removes all of
// them but the least likely. The tail is left alone, so a reply gets more inventive but stays
// coherent.
//
// A reply must be able to end: where a line end or the end token would be removed, nothing is.
#include <algorithm>
#include <array>
#include <vector>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "probability",
               .type = OptionType::number,
               .default_value = "0.5",
               .help = "how often it is done; 0: never",
               .minimum = 0,
               .maximum = 1},
    OptionInfo{.name = "threshold",
               .type = OptionType::number,
               .default_value = "0.1",
               .help = "min probability of a top choice; above 0.5 nothing is excluded",
               .minimum = 0,
               .maximum = 1},
    OptionInfo{.name = "spare",
               .type = OptionType::texts,
               .default_value = "\n",
               .help = "texts of one token that, like the end token, are never excluded"},
};

class Xtc final : public Sampler {
 public:
  explicit Xtc(const Options& options)
      : probability_(options.number("probability")), threshold_(options.number("threshold")) {
    const Host* host = options.host();
    if (!host) return;
    spared_.assign(host->end_ids().begin(), host->end_ids().end());
    // A token in the middle of a text, not at its beginning: the last of "a" and the text.
    for (const std::string_view text : options.texts("spare")) {
      std::array<int32_t, 8> ids{};
      const uint32_t count = host->tokenize("a" + std::string(text), ids);
      if (count >= 2 && count <= ids.size()) spared_.push_back(ids[count - 1]);
    }
  }

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    if (probability_ == 0 || threshold_ > 0.5 || candidates.size < 2) return {};
    if (context.random->uniform() >= probability_) return {};
    const SoftmaxScale scale = softmax_scale(candidates);
    const auto all = candidates.all();
    const double floor = scale.logit(threshold_);
    const auto is_top = [&](const Candidate& c) { return c.logit >= floor; };
    const Candidate* least_likely = nullptr;
    for (const Candidate& c : all)
      if (is_top(c) && (!least_likely || precedes(*least_likely, c))) least_likely = &c;
    if (!least_likely) return {};
    const int32_t kept_id = least_likely->id;
    const auto goes = [&](const Candidate& c) { return is_top(c) && c.id != kept_id; };
    const auto is_spared = [&](const Candidate& c) {
      return goes(c) && std::find(spared_.begin(), spared_.end(), c.id) != spared_.end();
    };
    if (std::any_of(all.begin(), all.end(), is_spared)) return {};
    keep_if(candidates, [&](const Candidate& c) { return !goes(c); });
    return {};
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double probability_, threshold_;
  std::vector<int32_t> spared_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Xtc>({
    .name = "xtc",
    .version = "1.0.0",
    .help = "Now and then excludes the likeliest candidates, as long as others are likely",
    .source = "oobabooga/text-generation-webui pull 6335, modules/sampler_hijack.py "
              "XTCLogitsWarper",
    .options = kOptions,
});
