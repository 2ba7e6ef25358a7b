// Each part of the device's solver for `ropewalk quantize` beside the host's: on the emulator or a
// GPU.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"
#include "core/quantize/cholesky.h"
#include "core/quantize/errors.h"
#include "tests/cuda/quantize_device.h"
#include "tests/quantize/golden_matrix.h"

namespace ropewalk::test {
namespace {

using quantize::Order;
using quantize::QuantizedMatrix;
using quantize::Search;
using quantize::ZeroForm;

constexpr uint32_t kSizes[] = {1, 31, 63, 64, 65, 130, 200};

std::vector<float> as_halves(std::vector<float> values) {
  std::vector<std::byte> halves(values.size() * sizeof(uint16_t));
  round_to(StoredType::f16, values, halves);
  return to_floats(StoredType::f16, halves);
}

// Device memory with some values.
class OnDevice {
 public:
  OnDevice(abi::Device& device, std::span<const std::byte> bytes) : device_(device) {
    EXPECT_TRUE(device.allocate(abi::Arena::scratch, bytes.size(), &slice_.buffer).ok());
    slice_.bytes = bytes.size();
    EXPECT_TRUE(device.write(slice_, bytes).ok());
  }
  ~OnDevice() { device_.free(slice_.buffer); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  const abi::Slice& all() const { return slice_; }
  abi::Slice part(uint64_t offset, uint64_t bytes) const { return {slice_.buffer, offset, bytes}; }

 private:
  abi::Device& device_;
  abi::Slice slice_;
};

class CudaQuantizeSolver : public CudaQuantize {
 protected:
  // The sums of some inputs, on both sides: the device is given them in two parts, as f32 or f16.
  quantize::Hessian sum(uint32_t inputs, uint32_t tokens, abi::DType type,
                        std::vector<double>& found) {
    const std::vector<float> x = uneven_inputs(tokens, inputs, inputs);
    std::vector<std::byte> bytes(x.size() * sizeof(uint16_t));
    round_to(StoredType::f16, x, bytes);
    if (type == abi::DType::f32) {
      const auto all = std::as_bytes(std::span(x));
      bytes.assign(all.begin(), all.end());
    }
    const OnDevice values(*opened_->device, bytes);
    const uint64_t first = tokens / 3 * (bytes.size() / tokens);
    expect_ok(solver_->begin(inputs));
    for (const abi::Slice& part :
         {values.part(0, first), values.part(first, bytes.size() - first)}) {
      bool fits = false;
      expect_ok(solver_->gram(part, type, &fits));
      EXPECT_TRUE(fits);
    }
    found.assign(size_t{inputs} * inputs, 0);
    expect_ok(solver_->read_gram(found));
    quantize::Hessian hessian(inputs);
    hessian.add(as_halves(x), 1);
    return hessian;
  }

  std::vector<double> diagonal(uint32_t inputs) {
    std::vector<double> values(inputs);
    expect_ok(solver_->diagonal(values));
    return values;
  }

  // A set whose U is on the device, and here.
  quantize::Factor factor_of(uint32_t inputs, const quantize::Settings& settings,
                             bool with_dead_input) {
    std::vector<float> x = as_halves(uneven_inputs(2 * inputs + 5, inputs, inputs));
    if (with_dead_input)
      for (size_t i = inputs / 2; i < x.size(); i += inputs) x[i] = 0;
    const OnDevice values(*opened_->device, std::as_bytes(std::span(x)));
    bool fits = false;
    expect_ok(solver_->begin(inputs));
    expect_ok(solver_->gram(values.all(), abi::DType::f32, &fits));
    diagonal_ = diagonal(inputs);
    auto factor = quantize::find_damping(
        diagonal_, settings, [&](const quantize::Factor& tried, std::span<const double> damped) {
          bool positive = false;
          expect_ok(solver_->factor(tried.order, damped, &positive));
          return positive;
        });
    factor->upper.resize(size_t{inputs} * inputs);
    expect_ok(solver_->read_upper(factor->upper));
    hessian_ = std::make_unique<quantize::Hessian>(inputs);
    hessian_->add(x, 1);
    return *factor;
  }

  // What the device makes of the matrix, and its loss.
  QuantizedMatrix round(const std::vector<float>& weight, uint32_t rows, const quantize::Factor& f,
                        const quantize::Settings& settings, bool nearest, double& error) {
    double energy = 0;
    expect_ok(solver_->take(weight, rows, &energy));
    QuantizedMatrix matrix =
        nearest ? quantize::empty_matrix(rows, static_cast<uint32_t>(f.order.size()), settings)
                : quantize::empty_matrix_in(rows, f, settings);
    abi::RoundedRows found{.codes = matrix.codes, .scales = matrix.scales, .zeros = matrix.zeros};
    const abi::RangeRules rules{.bits = settings.bits,
                                .group_size = matrix.group_size,
                                .symmetric = settings.symmetric,
                                .zero_from_one = settings.zeros == ZeroForm::v1,
                                .search = settings.search == Search::weighted};
    std::vector<uint32_t> of_place;
    for (const uint32_t column : f.order) of_place.push_back(matrix.group_of[column]);
    if (nearest)
      expect_ok(solver_->nearest(rules, &found));
    else
      expect_ok(solver_->solve(rules, {of_place, settings.order == Order::fixed}, &found));
    matrix.clipped_scales = found.clipped;
    error = found.lost / energy;
    return matrix;
  }

  // The same codes, scales and zeros as the host's, from the same U.
  void expect_the_hosts(const std::vector<float>& weight, uint32_t rows,
                        const quantize::Factor& factor, const quantize::Settings& settings) {
    double error = 0, nearest_error = 0;
    const QuantizedMatrix solved = round(weight, rows, factor, settings, false, error);
    const QuantizedMatrix nearest = round(weight, rows, factor, settings, true, nearest_error);
    std::vector<float> work = weight;
    const QuantizedMatrix meant =
        quantize::solve(work, rows, factor, quantize::dead_columns(diagonal_), settings);
    const QuantizedMatrix meant_nearest =
        quantize::round_to_nearest(weight, rows, solved.cols, settings);
    for (const auto& [found, right] :
         {std::pair(&solved, &meant), std::pair(&nearest, &meant_nearest)}) {
      EXPECT_EQ(found->codes, right->codes);
      EXPECT_EQ(found->scales, right->scales);
      EXPECT_EQ(found->zeros, right->zeros);
      EXPECT_EQ(found->clipped_scales, right->clipped_scales);
    }
    const std::vector<double> errors =
        quantize::relative_errors(weight, {&nearest, &solved}, *hessian_, 1);
    EXPECT_NEAR(nearest_error, errors[0], 1e-4 * errors[0]);
    EXPECT_NEAR(error, errors[1], 1e-4 * errors[1]);
  }

  std::vector<double> diagonal_;
  std::unique_ptr<quantize::Hessian> hessian_;
};

TEST_F(CudaQuantizeSolver, SumsInputs) {
  for (const abi::DType type : {abi::DType::f16, abi::DType::f32})
    for (const uint32_t inputs : kSizes)
      for (const uint32_t tokens : {3u, 150u}) {
        std::vector<double> found;
        const quantize::Hessian hessian = sum(inputs, tokens, type, found);
        const std::vector<double>& meant = hessian.lower();
        const std::vector<double> on_diagonal = diagonal(inputs);
        for (size_t i = 0; i < inputs; ++i) {
          EXPECT_EQ(on_diagonal[i], found[i * inputs + i]);
          for (size_t j = 0; j <= i; ++j) {
            const double size = std::sqrt(meant[i * inputs + i] * meant[j * inputs + j]);
            ASSERT_NEAR(found[i * inputs + j], meant[i * inputs + j], 2e-6 * size) << i << " " << j;
          }
        }
      }
}

// More tokens than are summed in f32: 2048.
TEST_F(CudaQuantizeSolver, SumsManyTokens) {
  std::vector<double> found;
  const quantize::Hessian hessian = sum(5, 9000, abi::DType::f32, found);
  for (size_t i = 0; i < 25; ++i)
    if (i % 5 <= i / 5) {
      ASSERT_NEAR(found[i], hessian.lower()[i], 1e-5 * hessian.lower()[i / 5 * 6]) << i;
    }
}

// The largest f16 is 65504; from 65520 on a value is rounded to infinity.
TEST_F(CudaQuantizeSolver, SaysWhereAnInputIsBeyondF16) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::pair<float, bool> rows[] = {{65519, true},       {-65519, true}, {65520, false},
                                         {-70000, false},     {1e30f, false}, {kInfinity, false},
                                         {-kInfinity, false}, {NAN, false}};
  for (const auto& [value, meant] : rows)
    for (const size_t at : {0u, 70u * 33 + 8, 70u * 40 - 1}) {
      std::vector<float> x(size_t{70} * 40, 1);
      x[at] = value;
      const OnDevice values(*opened_->device, std::as_bytes(std::span(x)));
      bool fits = !meant;
      expect_ok(solver_->begin(40));
      expect_ok(solver_->gram(values.all(), abi::DType::f32, &fits));
      EXPECT_EQ(fits, meant) << value << " at " << at;
      expect_ok(solver_->gram(values.part(0, 0), abi::DType::f32, &fits));
      EXPECT_TRUE(fits) << "of the last call alone";
    }
}

TEST_F(CudaQuantizeSolver, FactorsAndInverts) {
  for (const uint32_t n : kSizes) {
    std::vector<double> h;
    sum(n, 2 * n + 3, abi::DType::f32, h);
    std::vector<uint32_t> order(n);
    for (uint32_t i = 0; i < n; ++i)
      order[i] = (7 * i + 3) % n;  // 7 divides none of the sizes but 63
    if (n == 63)
      for (uint32_t i = 0; i < n; ++i) order[i] = (5 * i + 3) % n;
    std::vector<double> damped = diagonal(n);
    for (double& value : damped) value += 0.1;
    bool positive = false;
    expect_ok(solver_->factor(order, damped, &positive));
    ASSERT_TRUE(positive) << n;
    std::vector<float> upper(size_t{n} * n);
    expect_ok(solver_->read_upper(upper));
    std::vector<double> matrix(size_t{n} * n);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j <= i; ++j) {
        const size_t row = order[n - 1 - i], column = order[n - 1 - j];
        matrix[i * n + j] =
            i == j ? damped[row] : h[std::max(row, column) * n + std::min(row, column)];
      }
    ASSERT_TRUE(quantize::cholesky(matrix, n, 1));
    const std::vector<float> meant = quantize::reversed_inverse(matrix, n, 1);
    for (size_t i = 0; i < meant.size(); ++i)
      ASSERT_NEAR(upper[i], meant[i], 1e-6 * std::abs(meant[i]) + 1e-9) << n << " " << i;
  }
}

TEST_F(CudaQuantizeSolver, SaysWhereAMatrixIsNotPositive) {
  std::vector<uint32_t> order(130);
  for (uint32_t i = 0; i < 130; ++i) order[i] = i;
  for (const double bad : {-1.0, 0.0, double{NAN}, double{INFINITY}})
    for (const size_t at : {size_t{0}, size_t{70}, size_t{129}}) {
      std::vector<double> diagonal(130, 1);
      diagonal[at] = bad;
      bool positive = true;
      expect_ok(solver_->begin(130));
      expect_ok(solver_->factor(order, diagonal, &positive));
      EXPECT_FALSE(positive) << bad << " " << at;
    }
}

TEST_F(CudaQuantizeSolver, FindsEnergies) {
  for (const uint32_t inputs : kSizes) {
    std::vector<double> h;
    sum(inputs, 40, abi::DType::f32, h);
    for (const size_t rows : {size_t{1}, size_t{70}}) {
      const std::vector<float> x = Noise(rows).values(rows * inputs);
      std::vector<double> sums(rows);
      expect_ok(solver_->energies(x, sums));
      double all = 0;
      for (size_t r = 0; r < rows; ++r) {
        double energy = 0;
        for (size_t i = 0; i < inputs; ++i)
          for (size_t j = 0; j < inputs; ++j)
            energy += static_cast<double>(x[r * inputs + i]) *
                      static_cast<double>(x[r * inputs + j]) *
                      h[std::max(i, j) * inputs + std::min(i, j)];
        ASSERT_NEAR(sums[r], energy, 1e-5 * energy) << inputs << " " << r;
        all += energy;
      }
      double taken = 0;
      expect_ok(solver_->take(x, static_cast<uint32_t>(rows), &taken));
      EXPECT_NEAR(taken, all, 1e-5 * all);
    }
  }
}

TEST_F(CudaQuantizeSolver, RoundsAsTheHostDoes) {
  const uint32_t rows = 10, inputs = 140;
  const std::vector<float> weight = Noise(3).values(size_t{rows} * inputs);
  for (const Order order : {Order::act, Order::fixed, Order::gar, Order::stored})
    for (const uint32_t group : {32u, 0u}) {
      const quantize::Settings first{.group_size = group, .order = order};
      const quantize::Factor factor = factor_of(inputs, first, group == 32);
      for (const uint8_t bits : std::array<uint8_t, 4>{2, 3, 4, 8})
        for (const bool symmetric : {true, false})
          for (const ZeroForm zeros : {ZeroForm::v1, ZeroForm::v2})
            for (const Search search : {Search::weighted, Search::none}) {
              if (symmetric && zeros == ZeroForm::v2) continue;
              quantize::Settings settings = first;
              settings.bits = bits;
              settings.symmetric = symmetric;
              settings.zeros = zeros;
              settings.search = search;
              SCOPED_TRACE(testing::Message()
                           << "order " << static_cast<int>(order) << " group " << group << " bits "
                           << int{bits} << " symmetric " << symmetric << " zeros "
                           << static_cast<int>(zeros) << " search " << static_cast<int>(search));
              expect_the_hosts(weight, rows, factor, settings);
            }
    }
}

// Blocks of columns, tiles of the rest and warps of rows that end early or are full.
TEST_F(CudaQuantizeSolver, RoundsAllShapes) {
  for (const uint32_t inputs : {1u, 31u, 129u, 300u})
    for (const uint32_t rows : {1u, 8u, 65u})
      for (const uint32_t group : {8u, 48u, 128u, 160u}) {
        quantize::Settings settings{.group_size = group};
        SCOPED_TRACE(testing::Message() << rows << " x " << inputs << " by " << group);
        const quantize::Factor factor = factor_of(inputs, settings, false);
        expect_the_hosts(Noise(rows).values(size_t{rows} * inputs), rows, factor, settings);
      }
}

// Scales below and beyond what f16 holds, ties, groups of zeros, signs of one kind.
TEST_F(CudaQuantizeSolver, RoundsOddWeights) {
  const uint32_t rows = 9, inputs = 64;
  std::vector<float> weight = Noise(5).values(size_t{rows} * inputs);
  const auto row = [&](size_t r) { return std::span(weight).subspan(r * inputs, inputs); };
  for (float& value : row(0)) value *= 1e7f;
  for (float& value : row(1)) value *= 1e-9f;
  for (float& value : row(2)) value = 0;
  for (float& value : row(3)) value = -0.0f;
  for (float& value : row(4)) value = std::abs(value);
  for (float& value : row(5)) value = -std::abs(value);
  for (float& value : row(6)) value = std::nearbyint(value * 8) / 16;
  for (float& value : row(7)) value = 1;
  for (const bool symmetric : {true, false})
    for (const ZeroForm zeros : {ZeroForm::v1, ZeroForm::v2}) {
      quantize::Settings settings{.group_size = 16, .symmetric = symmetric, .zeros = zeros};
      const quantize::Factor factor = factor_of(inputs, settings, true);
      expect_the_hosts(weight, rows, factor, settings);
    }
}

TEST_F(CudaQuantizeSolver, CopiesAndLooks) {
  for (const abi::DType type : {abi::DType::f16, abi::DType::f32}) {
    const size_t count = 300000, size = type == abi::DType::f16 ? 2 : 4;
    for (const std::vector<size_t>& bad :
         {std::vector<size_t>{}, {0}, {299999}, {270001, 299999, 270000}}) {
      std::vector<float> values = Noise(1).values(count);
      for (const size_t at : bad) values[at] = at % 2 ? NAN : -INFINITY;
      std::vector<std::byte> bytes(count * size), found(count * size + 32);
      round_to(type == abi::DType::f16 ? StoredType::f16 : StoredType::f32, values, bytes);
      const OnDevice from(*opened_->device, bytes), to(*opened_->device, found);
      uint32_t first_bad = 0;
      expect_ok(solver_->copy(to.part(16, bytes.size()), from.all(), type, &first_bad));
      EXPECT_EQ(first_bad, bad.empty() ? UINT32_MAX : *std::ranges::min_element(bad));
      expect_ok(opened_->device->read(found, to.all()));
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), found.begin() + 16));
      EXPECT_TRUE(std::all_of(found.begin(), found.begin() + 16,
                              [](std::byte byte) { return byte == std::byte{0}; }));
      EXPECT_TRUE(std::all_of(found.end() - 16, found.end(),
                              [](std::byte byte) { return byte == std::byte{0}; }));
    }
  }
}

// More than the emulator's device has, were it kept.
TEST_F(CudaQuantizeSolver, FreesWhatItTook) {
  for (int i = 0; i < 30; ++i) {
    expect_ok(solver_->begin(2000));
    if (i % 2) solver_->end();  // else the next begin() does
  }
}

}  // namespace
}  // namespace ropewalk::test
