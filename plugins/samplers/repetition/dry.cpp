// DRY, don't repeat yourself: a token that would continue a repetition gets a penalty that grows
// with the length of the repetition. Where the latest n tokens also occur earlier in the history,
// the logit of the token that followed them there is reduced by
//
//   multiplier * base ^ (n - allowed_length), where n >= allowed_length
//
// for the largest n. A repetition does not reach across a breaker, so that frequent texts (line
// ends, "USER:") cost nothing, and a breaker of one token is never penalised.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "plugins/samplers/shared/per_id.h"
#include "plugins/samplers/shared/token_texts.h"

namespace {

using namespace ropewalk::abi;
using namespace ropewalk::samplers;

constexpr std::array kOptions = {
    OptionInfo{.name = "multiplier",
               .type = OptionType::number,
               .default_value = "0.8",
               .help = "penalty of the shortest repetition; 0: off",
               .minimum = 0,
               .maximum = 100},
    OptionInfo{.name = "base",
               .type = OptionType::number,
               .default_value = "1.75",
               .help = "factor of the penalty for each further token",
               .minimum = 1,
               .maximum = 100},
    OptionInfo{.name = "allowed_length",
               .type = OptionType::integer,
               .default_value = "2",
               .help = "tokens in a row that may be repeated without a penalty",
               .minimum = 1,
               .maximum = 1 << 20},
    OptionInfo{.name = "breakers",
               .type = OptionType::texts,
               .default_value = "\n\x1f:\x1f\"\x1f*",
               .help = "texts, of any number of tokens, that end a repetition"},
    OptionInfo{.name = "range",
               .type = OptionType::integer,
               .default_value = "0",
               .help = "how many of the latest tokens are searched; 0: all",
               .minimum = 0,
               .maximum = 1 << 30},
};

class Dry final : public Sampler {
 public:
  explicit Dry(const Options& options)
      : multiplier_(options.number("multiplier")),
        base_(options.number("base")),
        allowed_(static_cast<size_t>(options.integer("allowed_length"))),
        range_(static_cast<size_t>(options.integer("range"))),
        repeats_(options.host()) {
    if (const Host* host = options.host())
      for (const std::string_view text : options.texts("breakers"))
        for (std::vector<int32_t>& ids : spellings(*host, text))
          breakers_.push_back(std::move(ids));
  }

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    return guard([&] {
      const auto ids = latest(context.history, range_);
      const size_t limit = unbroken(ids);
      if (multiplier_ == 0 || limit < allowed_) return;
      measure(ids);
      repeats_.clear();
      for (size_t k = 1; k < ids.size(); ++k) {
        const size_t length = std::min(lengths_[k], limit);
        const int32_t next = ids[ids.size() - k];  // what followed the one that ends k tokens back
        if (length < allowed_ || next < 0 || is_breaker(next)) continue;
        size_t& longest = repeats_.at(next);
        longest = std::max(longest, length);
      }
      repeats_.change(candidates,
                      [this](float logit, size_t length) { return penalised(logit, length); });
    });
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  // How many ids follow the last breaker.
  size_t unbroken(std::span<const int32_t> ids) const {
    for (size_t after = 0; after < ids.size(); ++after)
      for (const std::vector<int32_t>& breaker : breakers_)
        if (breaker.size() + after <= ids.size() &&
            std::equal(breaker.rbegin(), breaker.rend(),
                       ids.rbegin() + static_cast<ptrdiff_t>(after)))
          return after;
    return ids.size();
  }

  // lengths_[k]: the length of the longest common suffix of the ids and the ids without their last
  // k. This is the Z function of the reversed ids, in linear time: [left, right) is the match that
  // reaches furthest.
  void measure(std::span<const int32_t> ids) {
    const size_t n = ids.size();
    const auto back = [&](size_t i) { return ids[n - 1 - i]; };
    if (lengths_.capacity() < n) lengths_.reserve(2 * n);
    lengths_.assign(n, 0);
    size_t left = 0, right = 0;
    for (size_t k = 1; k < n; ++k) {
      size_t length = k < right ? std::min(lengths_[k - left], right - k) : 0;
      while (k + length < n && back(length) == back(k + length)) ++length;
      lengths_[k] = length;
      if (k + length > right) {
        left = k;
        right = k + length;
      }
    }
  }

  bool is_breaker(int32_t id) const {
    return std::any_of(breakers_.begin(), breakers_.end(), [id](const std::vector<int32_t>& ids) {
      return ids.size() == 1 && ids[0] == id;
    });
  }

  float penalised(float logit, size_t length) const {
    constexpr double kMax = std::numeric_limits<float>::max();
    if (logit < -kMax) return logit;
    const double penalty = multiplier_ * std::pow(base_, static_cast<double>(length - allowed_));
    return static_cast<float>(std::max(logit - penalty, -kMax));
  }

  double multiplier_, base_;
  size_t allowed_, range_;
  std::vector<std::vector<int32_t>> breakers_;  // ids of each
  std::vector<size_t> lengths_;
  PerId<size_t> repeats_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, Dry>({
    .name = "dry",
    .version = "1.0.0",
    .help = "Makes tokens less likely that would continue a repetition",
    .source = "oobabooga/text-generation-webui pull 5677; ggml-org/llama.cpp "
              "src/llama-sampling.cpp dry",
    .options = kOptions,
});
