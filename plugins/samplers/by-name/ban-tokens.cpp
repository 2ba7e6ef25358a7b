// Ban tokens: bans ids and texts. For a text of several tokens, the last is banned where the others
// are the latest in the history. Where every candidate is banned, the one with the largest logit
// stays.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include "plugins/samplers/shared/per_id.h"
#include "plugins/samplers/shared/token_texts.h"

namespace {

using namespace ropewalk::abi;
using namespace ropewalk::samplers;

constexpr std::array kOptions = {
    OptionInfo{.name = "texts",
               .type = OptionType::texts,
               .default_value = "",
               .help = "banned texts, at the beginning of a text and inside one"},
    OptionInfo{.name = "ids",
               .type = OptionType::numbers,
               .default_value = "",
               .help = "banned token ids",
               .minimum = 0},
    OptionInfo{.name = "end",
               .type = OptionType::boolean,
               .default_value = "false",
               .help = "ban the tokens that end a reply too (ignore_eos elsewhere)"},
};

struct Banned {};

class BanTokens final : public Sampler {
 public:
  explicit BanTokens(const Options& options) : banned_(options.host()) {
    for (const int32_t id : id_list(options, "ids")) sequences_.push_back({id});
    const Host* host = options.host();
    if (!host) return;
    for (const std::string_view text : options.texts("texts"))
      for (std::vector<int32_t>& ids : spellings(*host, text)) sequences_.push_back(std::move(ids));
    if (options.boolean("end"))
      for (const int32_t id : host->end_ids()) sequences_.push_back({id});
  }

  Status apply(Candidates& candidates, const SampleContext& context) noexcept override {
    return guard([&] {
      banned_.clear();
      ids_.clear();
      for (const std::vector<int32_t>& ids : sequences_)
        if (has_begun(ids, context.history) && !banned_.find(ids.back())) {
          banned_.at(ids.back());
          ids_.push_back(ids.back());
        }
      if (banned_.empty() || remove_in_place(candidates)) return;
      keep_if(candidates, [this](const Candidate& c) { return !banned_.find(c.id); });
    });
  }
  Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  // Whether all of `ids` but the last are the latest of the history.
  static bool has_begun(const std::vector<int32_t>& ids, std::span<const int32_t> history) {
    const size_t before = ids.size() - 1;
    return before <= history.size() &&
           std::equal(ids.begin(), ids.end() - 1, history.end() - static_cast<ptrdiff_t>(before));
  }

  // At the top of a chain candidate i has id i: a few are found at once, and what is behind them
  // moves up. Returns whether that was so, and leaves a candidate that can be taken.
  bool remove_in_place(Candidates& candidates) {
    const auto all = candidates.all();
    if (ids_.size() > kFew) return false;
    for (const int32_t id : ids_) {
      const auto place = static_cast<size_t>(id);
      if (place >= all.size() || all[place].id != id) return false;
    }
    const auto stays = [this](const Candidate& c) {
      return c.logit > -INFINITY && !banned_.find(c.id);
    };
    if (std::ranges::none_of(all, stays)) return false;
    std::ranges::sort(ids_, std::greater<>{});
    for (const int32_t id : ids_) {
      Candidate* const hole = candidates.data + id;
      std::copy(hole + 1, candidates.data + candidates.size, hole);
      --candidates.size;
    }
    return true;
  }

  static constexpr size_t kFew = 8;

  std::vector<std::vector<int32_t>> sequences_;
  std::vector<int32_t> ids_;  // that are banned now
  PerId<Banned> banned_;
};

}  // namespace

const Module ropewalk_module = make_module<Sampler, BanTokens>({
    .name = "ban-tokens",
    .version = "1.0.0",
    .help = "Bans tokens and texts",
    .source = "huggingface/transformers generation/logits_process.py NoBadWordsLogitsProcessor",
    .options = kOptions,
});
