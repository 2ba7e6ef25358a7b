#include "core/quantize/factor.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/base/parallel.h"
#include "core/quantize/cholesky.h"

namespace ropewalk::quantize {
namespace {

constexpr double kMaxDamp = 1;

// The lower half of A[order, order], reversed in both axes, with `diagonal` in its diagonal's
// place.
std::vector<double> reordered(const std::vector<double>& lower, std::span<const uint32_t> order,
                              std::span<const double> diagonal, uint32_t threads) {
  const size_t n = order.size();
  std::vector<double> out(n * n);
  parallel_for(n, threads, [&](size_t i) {
    const size_t row = order[n - 1 - i];
    for (size_t j = 0; j < i; ++j) {
      const size_t column = order[n - 1 - j];
      out[i * n + j] = lower[std::max(row, column) * n + std::min(row, column)];
    }
    out[i * n + i] = diagonal[row];
  });
  return out;
}

// Columns of each stored group by falling weight, groups by their largest; a short group, which is
// the last one, stays last.
std::vector<uint32_t> within_groups(std::span<const double> weight, uint32_t group_size) {
  const auto count = static_cast<uint32_t>(weight.size());
  const auto heavier = [&](uint32_t a, uint32_t b) { return weight[a] > weight[b]; };
  std::vector<std::vector<uint32_t>> groups;
  for (uint32_t first = 0; first < count; first += group_size) {
    std::vector<uint32_t> group(std::min(group_size, count - first));
    std::iota(group.begin(), group.end(), first);
    std::ranges::stable_sort(group, heavier);
    groups.push_back(std::move(group));
  }
  std::ranges::stable_sort(groups.begin(), groups.begin() + count / group_size,
                           [&](const auto& a, const auto& b) { return heavier(a[0], b[0]); });
  std::vector<uint32_t> order;
  for (const auto& group : groups) order.insert(order.end(), group.begin(), group.end());
  return order;
}

std::vector<uint32_t> order_of(std::span<const double> weight, const Settings& settings) {
  const auto count = static_cast<uint32_t>(weight.size());
  if (settings.order == Order::gar)
    return within_groups(weight, settings.group_size == 0 ? count : settings.group_size);
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  if (settings.order != Order::stored)
    std::ranges::stable_sort(order, [&](uint32_t a, uint32_t b) { return weight[a] > weight[b]; });
  return order;
}

}  // namespace

std::vector<double> diagonal_of(const Hessian& hessian) {
  std::vector<double> values(hessian.inputs());
  for (size_t k = 0; k < values.size(); ++k) values[k] = hessian.lower()[k * values.size() + k];
  return values;
}

std::vector<bool> dead_columns(std::span<const double> diagonal) {
  std::vector<bool> dead;
  for (const double value : diagonal) dead.push_back(value == 0);
  return dead;
}

std::vector<uint32_t> column_order(const Hessian& hessian, const Settings& settings) {
  return order_of(diagonal_of(hessian), settings);  // 0 of a dead one: last
}

std::optional<Factor> factorise(const Hessian& hessian, const Settings& settings) {
  const uint32_t n = hessian.inputs();
  std::vector<float> upper;
  std::optional<Factor> found = find_damping(
      diagonal_of(hessian), settings, [&](const Factor& factor, std::span<const double> diagonal) {
        std::vector<double> matrix =
            reordered(hessian.lower(), factor.order, diagonal, settings.threads);
        if (!cholesky(matrix, n, settings.threads)) return false;
        upper = reversed_inverse(matrix, n, settings.threads);
        return true;
      });
  if (found) found->upper = std::move(upper);
  return found;
}

std::optional<Factor> find_damping(std::span<const double> diagonal, const Settings& settings,
                                   const Attempt& attempt) {
  Factor factor;
  factor.order = order_of(diagonal, settings);
  double sum = 0;
  for (const double value : diagonal) {
    sum += value;
    factor.dead += value == 0 ? 1 : 0;
  }
  if (factor.dead == diagonal.size()) return std::nullopt;
  const double mean = sum / (static_cast<double>(diagonal.size()) - factor.dead);
  for (factor.damp = settings.damp; factor.damp <= kMaxDamp; factor.damp *= 10) {
    std::vector<double> damped(diagonal.begin(), diagonal.end());
    for (double& value : damped) value = (value == 0 ? mean : value) + factor.damp * mean;
    if (attempt(factor, damped)) return factor;
  }
  return std::nullopt;
}

}  // namespace ropewalk::quantize
