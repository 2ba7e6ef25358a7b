// lying_solver.h — a true solver's answers, changed.
#pragma once

#include <functional>
#include <utility>

#include "core/abi/quantize.h"

namespace ropewalk::test {

class LyingSolver final : public abi::QuantizeSolver {
 public:
  struct Lies {
    std::function<void(std::span<double> lower)> gram = {};
    std::function<void(std::span<float> upper)> upper = {};
    std::function<void(abi::RoundedRows& result)> solve = {};
    std::function<void(std::span<double> sums)> energies = {};
  };

  LyingSolver(abi::QuantizeSolver& truth, Lies lies) : truth_(truth), lies_(std::move(lies)) {}

  abi::Status begin(uint32_t inputs) noexcept override { return truth_.begin(inputs); }
  abi::Status gram(const abi::Slice& x, abi::DType dtype, bool* fits) noexcept override {
    return truth_.gram(x, dtype, fits);
  }
  abi::Status diagonal(std::span<double> values) noexcept override {
    return truth_.diagonal(values);
  }
  abi::Status read_gram(std::span<double> lower) noexcept override {
    return changed(truth_.read_gram(lower), lies_.gram, lower);
  }
  abi::Status factor(std::span<const uint32_t> order, std::span<const double> diagonal,
                     bool* positive) noexcept override {
    return truth_.factor(order, diagonal, positive);
  }
  abi::Status read_upper(std::span<float> upper) noexcept override {
    return changed(truth_.read_upper(upper), lies_.upper, upper);
  }
  abi::Status take(std::span<const float> weight, uint32_t rows, double* energy) noexcept override {
    return truth_.take(weight, rows, energy);
  }
  abi::Status nearest(const abi::RangeRules& rules, abi::RoundedRows* result) noexcept override {
    return truth_.nearest(rules, result);
  }
  abi::Status solve(const abi::RangeRules& rules, const abi::ColumnGroups& groups,
                    abi::RoundedRows* result) noexcept override {
    return changed(truth_.solve(rules, groups, result), lies_.solve, *result);
  }
  abi::Status energies(std::span<const float> x, std::span<double> sums) noexcept override {
    return changed(truth_.energies(x, sums), lies_.energies, sums);
  }
  void end() noexcept override { truth_.end(); }
  abi::Status copy(const abi::Slice& to, const abi::Slice& from, abi::DType dtype,
                   uint32_t* first_bad) noexcept override {
    return truth_.copy(to, from, dtype, first_bad);
  }

 private:
  template <class Lie, class Answer>
  static abi::Status changed(abi::Status status, const Lie& lie, Answer&& answer) {
    if (lie) lie(answer);
    return status;
  }

  abi::QuantizeSolver& truth_;
  Lies lies_;
};

}  // namespace ropewalk::test
