#include "core/quantize/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/sample/rng.h"

namespace ropewalk::quantize {
namespace {

constexpr uint64_t kFewestTokens = 512;

// Fisher and Yates.
void shuffle(std::vector<std::vector<int32_t>>& documents, uint64_t seed) {
  SequenceRandom random(seed);
  for (size_t i = documents.size(); i > 1; --i) {
    const auto j = static_cast<size_t>(random.uniform() * static_cast<double>(i));
    std::swap(documents[i - 1], documents[j]);
  }
}

std::vector<int32_t> joined(const std::vector<std::vector<int32_t>>& documents, int32_t eos) {
  std::vector<int32_t> stream;
  for (const auto& document : documents) {
    if (!stream.empty() && !document.empty()) stream.push_back(eos);
    stream.insert(stream.end(), document.begin(), document.end());
  }
  return stream;
}

}  // namespace

void check_tokens(const Calibration& calibration) {
  if (calibration.tokens < kFewestTokens)
    throw Error(
        ExitCode::limit, "--calibration",
        fmt::format("holds {} tokens, expected at least {}", calibration.tokens, kFewestTokens),
        "Give more text: 262,144 tokens are the default");
}

Calibration make_calibration(std::vector<std::vector<int32_t>> documents,
                             const CalibrationSettings& settings) {
  shuffle(documents, settings.seed);
  const std::vector<int32_t> stream = joined(documents, settings.eos);
  const size_t front = settings.bos ? 1 : 0;
  Calibration result;
  size_t at = 0;
  const auto cut = [&](size_t count) {
    std::vector<int32_t> window;
    if (settings.bos) window.push_back(*settings.bos);
    window.insert(window.end(), stream.begin() + static_cast<ptrdiff_t>(at),
                  stream.begin() + static_cast<ptrdiff_t>(at + count));
    at += count;
    result.tokens += window.size();
    result.windows.push_back(std::move(window));
  };
  for (const WindowKind& kind : settings.windows) {
    result.asked += uint64_t{kind.length} * kind.count;
    for (uint32_t i = 0; i < kind.count && stream.size() - at >= kind.length - front; ++i)
      cut(kind.length - front);
  }
  if (result.windows.empty()) cut(stream.size());
  check_tokens(result);
  return result;
}

}  // namespace ropewalk::quantize
