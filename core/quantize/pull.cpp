#include "core/quantize/pull.h"

#include <algorithm>
#include <array>

#include "core/base/parallel.h"

namespace ropewalk::quantize {
namespace {

constexpr double kPullShare = 0.25;
constexpr size_t kPullRows = 16;  // of D at a time, side by side, so that U is read once for them

// Rows [first, first + count) of P.
void pull_rows(const Shift& shift, const Factor& factor, size_t first, std::vector<float>& pull) {
  const size_t n = factor.order.size(), count = std::min(kPullRows, n - first);
  std::vector<double> moved(n * kPullRows), sums(n * kPullRows);  // (n, kPullRows)
  for (size_t k = 0; k < n; ++k)
    for (size_t r = 0; r < count; ++r)
      moved[k * kPullRows + r] = shift.sums()[factor.order[first + r] * n + factor.order[k]];
  for (size_t j = first + 1; j < n; ++j) {
    const float* upper = factor.upper.data() + j * n;
    std::array<double, kPullRows> products{};
    for (size_t k = j; k < n; ++k)
      for (size_t r = 0; r < kPullRows; ++r)
        products[r] += moved[k * kPullRows + r] * static_cast<double>(upper[k]);
    for (size_t r = j - first; r < kPullRows; ++r) products[r] = 0;  // on the diagonal and below
    for (size_t k = j; k < n; ++k)
      for (size_t r = 0; r < kPullRows; ++r)
        sums[k * kPullRows + r] += products[r] * static_cast<double>(upper[k]);
  }
  for (size_t r = 0; r < count; ++r)
    for (size_t k = 0; k < n; ++k)
      pull[(first + r) * n + k] = static_cast<float>(kPullShare * sums[k * kPullRows + r]);
}

}  // namespace

std::vector<float> pull_of(const Shift& shift, const Factor& factor, uint32_t threads) {
  const size_t n = factor.order.size();
  std::vector<float> pull(n * n);
  parallel_for((n + kPullRows - 1) / kPullRows, threads,
               [&](size_t block) { pull_rows(shift, factor, block * kPullRows, pull); });
  return pull;
}

}  // namespace ropewalk::quantize
