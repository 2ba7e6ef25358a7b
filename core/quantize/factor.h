// factor.h — from H to what the solver needs: the order of columns, and U, upper, with U^T U =
// H^-1.
//
//   H     permuted into the solver's order, damped: H + damp mean(diag H)
//   L     of H with both axes reversed; R = reversed L, so that R R^T = H: one factorisation
//   U     R^-1
//
// Source: Frantar et al., GPTQ, 2023, with the factor of the inverse taken without inverting H.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "core/quantize/hessian.h"
#include "core/quantize/settings.h"

namespace ropewalk::quantize {

struct Factor {
  std::vector<uint32_t> order;   // column of each place of the solver's order
  std::vector<float> upper;      // U (inputs, inputs), in that order
  std::vector<float> pull = {};  // P of pull.h, likewise; empty: inputs count as the dense model's
  double damp = 0;               // that was taken: settings.damp, or ten times it and so on up to 1
  uint32_t dead = 0;             // inputs that were always 0

  float at(uint32_t i, uint32_t j) const { return upper[size_t{i} * order.size() + j]; }
};

// Which columns have a zero on H's diagonal: their weights do not matter and become 0.
std::vector<bool> dead_columns(std::span<const double> diagonal);
std::vector<double> diagonal_of(const Hessian& hessian);

// (inputs), ties to the lower index, dead ones last. Only the diagonal of H counts.
std::vector<uint32_t> column_order(const Hessian& hessian, const Settings& settings);

// nullopt where H is not positive definite with any damping. Holds one more matrix of H's size, and
// the result.
std::optional<Factor> factorise(const Hessian& hessian, const Settings& settings);

// The same where only H's diagonal is at hand: attempt(factor, diagonal) factorises H in factor's
// order with this in the diagonal's place, as stored, or returns false. U is left to it.
using Attempt = std::function<bool(const Factor& factor, std::span<const double> diagonal)>;
std::optional<Factor> find_damping(std::span<const double> diagonal, const Settings& settings,
                                   const Attempt& attempt);

}  // namespace ropewalk::quantize
