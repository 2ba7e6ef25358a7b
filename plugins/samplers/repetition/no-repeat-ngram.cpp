// No repeated n-gram: bans a token that would complete n tokens in a row which already occurred,
// the prompt included. Where every candidate is banned, the one with the largest logit stays.
#include <algorithm>
#include <array>

#include "plugins/samplers/shared/per_id.h"

namespace {

using namespace ropewalk::abi;
using namespace ropewalk::samplers;

constexpr std::array kOptions = {
    OptionInfo{.name = "size",
               .type = OptionType::integer,
               .default_value = "3",
               .help = "n: no n tokens in a row occur twice; 0: off",
               .minimum = 0,
               .maximum = 1 << 20},
};

struct Banned {};

class NoRepeatNgram final : public Sampler {
 public:
  explicit NoRepeatNgram(const Options& options)
      : size_(static_cast<size_t>(options.integer("size"))), banned_(options.host()) {}

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    return guard([&] {
      const auto ids = context.history;
      if (size_ == 0 || ids.size() < size_) return;
      banned_.clear();
      const auto begun = ids.last(size_ - 1);
      for (size_t i = 0; i + size_ <= ids.size(); ++i) {
        const int32_t next = ids[i + size_ - 1];
        if (next >= 0 && std::equal(begun.begin(), begun.end(), ids.begin() + i)) banned_.at(next);
      }
      if (banned_.empty()) return;
      keep_if(candidates, [this](const Candidate& c) { return !banned_.find(c.id); });
    });
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  size_t size_;
  PerId<Banned> banned_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, NoRepeatNgram>({
    .name = "no-repeat-ngram",
    .version = "1.0.0",
    .help = "Bans tokens that would repeat n tokens in a row",
    .source = "huggingface/transformers generation/logits_process.py NoRepeatNGramLogitsProcessor",
    .options = kOptions,
});
