// What holds for any matrix: less is lost than by rounding, and neither threads nor blocks matter.
#include "core/quantize/solve.h"

#include <gtest/gtest.h>

#include "core/checkpoint/weights/finite.h"
#include "core/quantize/errors.h"
#include "core/quantize/pull.h"
#include "core/quantize/range.h"
#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using namespace quantize;

struct Layer {
  uint32_t rows, cols;
  std::vector<float> weight;
  Hessian hessian;
};

Layer layer_of(uint32_t rows, uint32_t cols) {
  Layer layer{rows, cols, Noise(rows).values(size_t{rows} * cols), Hessian(cols)};
  layer.hessian.add(uneven_inputs(3 * cols, cols, cols), 2);
  return layer;
}

QuantizedMatrix solve_layer(const Layer& layer, const Settings& settings) {
  std::vector<float> weight = layer.weight;
  return solve(weight, layer.rows, factorise(layer.hessian, settings).value(),
               dead_columns(diagonal_of(layer.hessian)), settings);
}

double lost(const Layer& layer, const QuantizedMatrix& matrix) {
  return relative_errors(layer.weight, {&matrix}, layer.hessian, 2).front();
}

TEST(Solve, LosesLessThanRounding) {
  const Layer layer = layer_of(40, 384);
  for (const Order order : {Order::act, Order::fixed, Order::gar, Order::stored})
    for (const uint32_t group : {32u, 96u, 192u, 0u}) {
      Settings settings;
      settings.order = order;
      settings.group_size = group;
      settings.search = Search::none;
      const double solved = lost(layer, solve_layer(layer, settings));
      const double nearest =
          lost(layer, round_to_nearest(layer.weight, layer.rows, layer.cols, settings));
      EXPECT_LT(solved, 0.8 * nearest) << static_cast<int>(order) << " " << group;
      settings.search = Search::weighted;
      EXPECT_LT(lost(layer, solve_layer(layer, settings)), solved);
    }
}

TEST(Solve, IsTheSameForAnyThreads) {
  const Layer layer = layer_of(50, 160);
  Settings settings;
  const QuantizedMatrix one = solve_layer(layer, settings);
  for (const uint32_t threads : {2u, 4u}) {
    settings.threads = threads;
    const QuantizedMatrix other = solve_layer(layer, settings);
    EXPECT_EQ(other.codes, one.codes);
    EXPECT_EQ(other.scales, one.scales);
    EXPECT_EQ(other.group_of, one.group_of);
  }
}

// P by its formula, of which every product is summed in full.
std::vector<float> plain_pull(const Shift& shift, const Factor& factor) {
  const size_t n = factor.order.size();
  const auto u = [&](size_t i, size_t j) { return static_cast<double>(factor.upper[i * n + j]); };
  std::vector<double> inner(n * n);  // triu(D U^T, 1)
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i + 1; j < n; ++j)
      for (size_t k = 0; k < n; ++k)
        inner[i * n + j] += shift.sums()[factor.order[i] * n + factor.order[k]] * u(j, k);
  std::vector<float> pull(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t k = 0; k < n; ++k) sum += inner[i * n + k] * u(k, j);
      pull[i * n + j] = static_cast<float>(sum / 4);
    }
  return pull;
}

Shift shift_of(const Layer& layer) {
  Shift shift(layer.cols);
  const std::vector<float> x = uneven_inputs(3 * layer.cols, layer.cols, layer.cols);
  std::vector<float> dense = x;
  for (size_t i = 0; i < x.size(); ++i) dense[i] += i > 7 ? x[i - 7] / 8 : 0;
  shift.add(x, dense, 2);
  return shift;
}

// Rows of P are found 16 at a time.
TEST(Pull, IsThatOfTheFormula) {
  const Layer layer = layer_of(1, 37);
  const Shift shift = shift_of(layer);
  const Factor factor = factorise(layer.hessian, Settings{.group_size = 0}).value();
  const std::vector<float> plain = plain_pull(shift, factor), found = pull_of(shift, factor, 1);
  ASSERT_EQ(found.size(), plain.size());
  for (size_t i = 0; i < plain.size(); ++i)
    ASSERT_NEAR(found[i], plain[i], 1e-6 + 1e-5 * std::abs(plain[i])) << i;
  EXPECT_EQ(pull_of(shift, factor, 4), found);
}

class SolveColumns : public ::testing::TestWithParam<bool> {};

// Column by column on whole rows, without blocks; with a pull too.
TEST_P(SolveColumns, AreTheSameWithoutBlocks) {
  const Layer layer = layer_of(3, 320);
  Settings settings;
  settings.search = Search::none;
  settings.group_size = 0;
  settings.order = Order::stored;
  auto factor = factorise(layer.hessian, settings);
  if (GetParam()) factor->pull = pull_of(shift_of(layer), *factor, 1);
  std::vector<float> work = layer.weight;
  const QuantizedMatrix found =
      solve(work, layer.rows, *factor, dead_columns(diagonal_of(layer.hessian)), settings);
  for (uint32_t row = 0; row < layer.rows; ++row) {
    std::vector<float> w(layer.weight.begin() + row * layer.cols,
                         layer.weight.begin() + (row + 1) * layer.cols);
    float most = 0;
    for (const float value : w) most = std::max(most, std::abs(value));
    for (uint32_t i = 0; i < layer.cols; ++i) {
      const float scale =
          found.value(row, i) == 0
              ? 0
              : found.value(row, i) / (static_cast<float>(found.codes[i * layer.rows + row]) - 8);
      if (scale != 0) {
        ASSERT_NEAR(scale, 2 * most / 15, most / 1000);
      }
      const float error = (w[i] - found.value(row, i)) / factor->at(i, i);
      ASSERT_LE(std::abs(w[i] - found.value(row, i)),
                std::max(most / 15 * 1.01f, std::abs(w[i]) - most * 14 / 15 * 0.999f))
          << "the nearest code of the updated weight";
      for (uint32_t j = i + 1; j < layer.cols; ++j)
        w[j] -= error * factor->at(i, j) -
                (GetParam() ? w[i] * factor->pull[size_t{i} * layer.cols + j] : 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Pull, SolveColumns, ::testing::Bool());

// A row rounded column by column, each of which changes all behind it. A group's range is found
// where its first column comes, that of a stored group with order `fixed` beforehand.
struct PlainRow {
  std::vector<uint32_t> scales;  // f16 bits, by group
  std::vector<uint32_t> codes;   // by stored column
};

PlainRow plain_row(std::span<const float> weight, const Factor& factor, const Settings& settings) {
  const auto cols = static_cast<uint32_t>(weight.size());
  const uint32_t size = settings.group_size ? settings.group_size : cols;
  std::vector<float> sorted(cols), importance(cols), stored_importance(cols);
  for (uint32_t i = 0; i < cols; ++i) {
    sorted[i] = weight[factor.order[i]];
    importance[i] = stored_importance[factor.order[i]] = factor.at(i, i);
  }
  const uint32_t groups = (cols + size - 1) / size;
  const auto size_of = [&](uint32_t group) { return std::min(size, cols - group * size); };
  std::vector<Range> ranges(groups);
  for (uint32_t group = 0; settings.order == Order::fixed && group < groups; ++group)
    ranges[group] =
        find_range(weight.subspan(group * size, size_of(group)),
                   std::span(stored_importance).subspan(group * size, size_of(group)), settings);
  PlainRow row{std::vector<uint32_t>(groups), std::vector<uint32_t>(cols)};
  for (uint32_t i = 0; i < cols; ++i) {
    const uint32_t column = factor.order[i];
    const uint32_t group = settings.order == Order::act ? i / size : column / size;
    if (settings.order != Order::fixed && i % size == 0)
      ranges[group] = find_range(std::span(sorted).subspan(i, size_of(group)),
                                 std::span(importance).subspan(i, size_of(group)), settings);
    const int32_t code = ranges[group].code_of(sorted[i], settings.max_code());
    row.scales[group] = ranges[group].scale_bits;
    row.codes[column] = static_cast<uint32_t>(code);
    const float error = (sorted[i] - ranges[group].value_of(code)) / factor.at(i, i);
    for (uint32_t j = i + 1; j < cols; ++j) sorted[j] -= error * factor.at(i, j);
  }
  return row;
}

// Groups that fill a block, that divide it, that lie across its end, and one of all columns. With
// 256 and 512 the last group is short.
TEST(Solve, IsThatOfPlainColumnsForAnyOrderAndGroups) {
  const Layer layer = layer_of(3, 384);
  for (const Order order : {Order::act, Order::fixed, Order::gar, Order::stored})
    for (const uint32_t group : {32u, 96u, 128u, 192u, 256u, 512u, 0u}) {
      Settings settings;
      settings.order = order;
      settings.group_size = group;
      const Factor factor = factorise(layer.hessian, settings).value();
      const QuantizedMatrix found = solve_layer(layer, settings);
      for (uint32_t row = 0; row < layer.rows; ++row) {
        const PlainRow plain = plain_row(
            std::span(layer.weight).subspan(row * layer.cols, layer.cols), factor, settings);
        PlainRow ours;
        for (uint32_t g = 0; g < found.groups(); ++g)
          ours.scales.push_back(found.scales[g * layer.rows + row]);
        for (uint32_t k = 0; k < layer.cols; ++k)
          ours.codes.push_back(found.codes[k * layer.rows + row]);
        EXPECT_EQ(ours.scales, plain.scales) << static_cast<int>(order) << " " << group;
        EXPECT_EQ(ours.codes, plain.codes) << static_cast<int>(order) << " " << group;
      }
    }
}

// Of the first 128 columns every group's range is then that of the weights as they were given.
TEST(Solve, TakesRangesBeforeTheBlockWhereAsked) {
  const Layer layer = layer_of(5, 256);
  Settings settings;
  settings.search = Search::none;
  settings.group_size = 32;
  const auto factor = factorise(layer.hessian, settings);
  const QuantizedMatrix fresh = solve_layer(layer, settings);
  settings.as_autogptq = true;
  const QuantizedMatrix found = solve_layer(layer, settings);
  bool differs = false;
  for (uint32_t row = 0; row < layer.rows; ++row)
    for (uint32_t group = 0; group < 4; ++group) {
      float most = 0;
      for (uint32_t i = 0; i < 32; ++i)
        most = std::max(most,
                        std::abs(layer.weight[row * layer.cols + factor->order[group * 32 + i]]));
      const uint32_t at = group * layer.rows + row;
      const float scale =
          to_floats(StoredType::f16, std::as_bytes(std::span(&found.scales[at], 1)))[0];
      EXPECT_NEAR(scale, 2 * most / 15, most / 1000) << row << " " << group;
      differs |= group > 0 && found.scales[at] != fresh.scales[at];
      if (group == 0) {
        EXPECT_EQ(found.scales[at], fresh.scales[at]);
      }
    }
  EXPECT_TRUE(differs);
}

TEST(Solve, KeepsWeightsOfDeadInputsAtZero) {
  Layer layer{4, 32, Noise(1).values(128), Hessian(32)};
  std::vector<float> x = uneven_inputs(100, 32, 4);
  for (size_t i = 9; i < x.size(); i += 32) x[i] = 0;
  layer.hessian.add(x, 1);
  const QuantizedMatrix matrix = solve_layer(layer, Settings{});
  for (uint32_t row = 0; row < 4; ++row) EXPECT_EQ(matrix.value(row, 9), 0);
}

TEST(Solve, CountsScalesThatDoNotFit) {
  Layer layer = layer_of(4, 32);
  for (size_t i = 0; i < 32; ++i) layer.weight[i] *= 1e7f;
  EXPECT_EQ(solve_layer(layer, Settings{}).clipped_scales, 1u);
}

}  // namespace
}  // namespace ropewalk::test
