#include "apps/quantize/self_calibration.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <span>
#include <utility>

#include "apps/open.h"
#include "core/engine/engine.h"
#include "core/engine/model_ids.h"
#include "core/sample/rng.h"

namespace ropewalk {
namespace {

constexpr uint32_t kTogether = 8;  // windows written in one step

struct CalibrationWindow {
  CalibrationWindow(KvCache& cache, uint64_t seed, int32_t first) : sequence(cache), random(seed) {
    ids.push_back(first);
  }

  Sequence sequence;
  SequenceRandom random;
  std::vector<int32_t> ids;
};

// Softmax at temperature 1, summed in f64 in the order of the ids.
int32_t draw(std::span<const float> logits, double uniform) {
  const auto max = static_cast<double>(*std::ranges::max_element(logits));
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit) - max);
  double left = uniform * total;
  for (size_t id = 0; id < logits.size(); ++id) {
    left -= std::exp(static_cast<double>(logits[id]) - max);
    if (left < 0) return static_cast<int32_t>(id);
  }
  return static_cast<int32_t>(logits.size() - 1);
}

// Seeds of neighbouring windows must not be neighbours of each other's draws: Philox keys are.
uint64_t seed_of(uint64_t seed, uint32_t window) {
  return seed ^ (uint64_t{window} + 1) * 0x9e3779b97f4a7c15u;
}

}  // namespace

quantize::Calibration sample_windows(
    const CommonArguments& common, const Config& config,
    const std::vector<quantize::WindowKind>& kinds, uint64_t seed,
    const std::function<void(uint64_t done, uint64_t total)>& progress) {
  quantize::Calibration calibration;
  uint32_t most = 1;
  for (const quantize::WindowKind& kind : kinds) {
    calibration.asked += uint64_t{kind.length} * kind.count;
    most = std::max(most, kind.count);
  }
  RuntimeSettings settings;
  settings.config = config;
  settings.config.context.length =
      std::ranges::max(kinds, {}, &quantize::WindowKind::length).length;
  settings.max_sequences = settings.max_wanted = std::min(kTogether, most);
  OpenModel model = open_checkpoint(common, settings);
  const Tokenizer tokenizer = open_tokenizer(config);
  const ModelIds ids = match_ids(tokenizer, model.runtime.model_config());
  const int32_t first = tokenizer.bos() ? tokenizer.bos_id() : ids.end_ids.front();
  for (const quantize::WindowKind& kind : kinds)
    for (uint32_t begin = 0; begin < kind.count; begin += kTogether) {
      std::deque<CalibrationWindow> windows;  // a Sequence cannot be moved
      for (uint32_t i = begin; i < std::min(begin + kTogether, kind.count); ++i)
        windows.emplace_back(
            model.runtime.cache(),
            seed_of(seed, static_cast<uint32_t>(calibration.windows.size() + windows.size())),
            first);
      for (uint32_t length = 1; length < kind.length; ++length) {
        std::vector<Chunk> chunks;
        for (CalibrationWindow& window : windows)
          chunks.push_back(
              {&window.sequence, std::span(window.ids).last(1), Wanted::last, kind.length});
        const std::span<const ChunkResult> results = model.runtime.executor().run(chunks);
        for (size_t i = 0; i < windows.size(); ++i)
          windows[i].ids.push_back(
              draw(results[i].value().first(ids.sampled), windows[i].random.uniform()));
        progress(calibration.tokens + length * windows.size(), calibration.asked);
      }
      for (CalibrationWindow& window : windows) {
        calibration.tokens += window.ids.size();
        calibration.windows.push_back(std::move(window.ids));
      }
    }
  return calibration;
}

}  // namespace ropewalk
