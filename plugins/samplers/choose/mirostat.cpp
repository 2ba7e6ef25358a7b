// Mirostat: keeps the surprise of the chosen tokens near tau bits by moving a limit mu after each
// token.
//
//   version 2: drop where -log2 p > mu
//   version 1: keep the k likeliest, k = (eps 2^mu / (1 - V^-eps))^(1/s), where the Zipf exponent
//              s = sum t b / sum t^2 and eps = s - 1 are estimated from the largest
//              probabilities: b_i = ln(p_i / p_{i+1}), t_i = ln((i + 2) / (i + 1))
//   then draw, and mu -= eta (-log2 p - tau), p of the drawn token among the kept ones
//
// Ends a chain; upstream runs it after a temperature and nothing else.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/abi/sampler.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "version",
               .type = OptionType::integer,
               .default_value = "2",
               .help = "1: by an estimate of Zipf's law; 2: by the surprise itself",
               .minimum = 1,
               .maximum = 2},
    OptionInfo{.name = "tau",
               .type = OptionType::number,
               .default_value = "5",
               .help = "surprise to aim at, in bits",
               .minimum = 0,
               .maximum = 100},
    OptionInfo{.name = "eta",
               .type = OptionType::number,
               .default_value = "0.1",
               .help = "learning rate of the limit",
               .minimum = 0,
               .maximum = 1},
    OptionInfo{.name = "m",
               .type = OptionType::integer,
               .default_value = "100",
               .help = "version 1: number of largest probabilities in the estimate",
               .minimum = 2,
               .maximum = 1 << 20},
};

class Mirostat final : public Sampler {
 public:
  explicit Mirostat(const Options& options)
      : version_(options.integer("version")),
        tau_(options.number("tau")),
        eta_(options.number("eta")),
        m_(static_cast<uint32_t>(options.integer("m"))),
        vocabulary_(options.host() ? options.host()->vocab_size() : 0),
        mu_(2 * tau_) {}

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    const SoftmaxScale all = softmax_scale(candidates);
    Ranking ranking(candidates, all.max);
    const uint32_t kept = version_ == 1 ? first_version(candidates, ranking, all)
                                        : second_version(candidates, ranking, all);
    keep_first(candidates, kept);
    const SoftmaxScale among = softmax_scale(candidates);
    draw(candidates, *context.random);
    surprise_ = -std::log2(among.probability(candidates.data[0].logit));
    return {};
  }
  Status accept(int32_t) noexcept override {
    mu_ -= eta_ * (surprise_ - tau_);
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  uint32_t second_version(const Candidates& candidates, Ranking& ranking,
                          const SoftmaxScale& scale) const {
    uint32_t count = 1;
    while (count < candidates.size &&
           -scale.log_probability(ranking[count].logit) / std::log(2.0) <= mu_)
      ++count;
    return count;
  }

  uint32_t first_version(const Candidates& candidates, Ranking& ranking,
                         const SoftmaxScale& scale) const {
    const uint32_t looked_at = std::min(m_, candidates.size);
    double tb = 0, tt = 0;
    for (uint32_t i = 0; i + 1 < looked_at; ++i) {
      const double b =
          scale.log_probability(ranking[i].logit) - scale.log_probability(ranking[i + 1].logit);
      if (!std::isfinite(b)) break;  // -inf from here on
      const double t = std::log((i + 2.0) / (i + 1.0));
      tb += t * b;
      tt += t * t;
    }
    const double count = zipf_count(tt > 0 ? tb / tt : 0, candidates.size);
    const auto kept = static_cast<uint32_t>(std::clamp(count, 1.0, 1.0 * candidates.size));
    static_cast<void>(ranking[kept - 1]);  // sorts that far
    return kept;
  }

  // How many ranks of Zipf's law with the exponent s have a mean surprise of mu; all where the law
  // does not fall.
  double zipf_count(double s, uint32_t candidates) const {
    if (!(s > 1e-9)) return candidates;
    const double v = vocabulary_ > 0 ? vocabulary_ : candidates;
    const double epsilon = s - 1;
    // (1 - V^-eps) / eps, which goes to ln V where eps goes to 0.
    const double spread =
        std::abs(epsilon) < 1e-9 ? std::log(v) : -std::expm1(-epsilon * std::log(v)) / epsilon;
    const double count = std::pow(std::exp2(mu_) / spread, 1 / s);
    return std::isnan(count) ? candidates : count;
  }

  int64_t version_;
  double tau_, eta_;
  uint32_t m_, vocabulary_;
  double mu_;            // bits
  double surprise_ = 0;  // of the last drawn token, in bits
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Mirostat>({
    .name = "mirostat",
    .version = "1.0.0",
    .help = "Keeps the surprise near a target, and draws",
    .source = "arXiv 2007.14966; ggml-org/llama.cpp src/llama-sampling.cpp mirostat, mirostat_v2",
    .options = kOptions,
});
