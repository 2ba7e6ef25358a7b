#include "core/layerwise/set_solver.h"

#include <numeric>
#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/weights/finite.h"
#include "core/modules/library.h"

namespace ropewalk {
namespace {

constexpr const char* kSolver = "the device's solver";

abi::RangeRules rules_of(const quantize::QuantizedMatrix& matrix,
                         const quantize::Settings& settings) {
  return {.bits = settings.bits,
          .group_size = matrix.group_size,
          .symmetric = settings.symmetric,
          .zero_from_one = settings.zeros == quantize::ZeroForm::v1,
          .search = settings.search == quantize::Search::weighted};
}

abi::RoundedRows rows_of(quantize::QuantizedMatrix& matrix) {
  return {.codes = matrix.codes, .scales = matrix.scales, .zeros = matrix.zeros};
}

}  // namespace

// The device knows neither the search by |error|^2.4 nor AutoGPTQ's ways.
SetSolver::SetSolver(const LayerDevice& on, SolveOn where, uint32_t inputs,
                     const quantize::Settings& settings, bool keep_upper)
    : on_(on),
      device_(where == SolveOn::device ? on.solver() : nullptr),
      settings_(settings),
      inputs_(inputs),
      columns_here_(keep_upper || settings.as_autogptq || settings.search == quantize::Search::mse),
      hessian_(device_ ? 0 : inputs) {
  if (device_) check(device_->begin(inputs), kSolver);
}

SetSolver::~SetSolver() {
  if (!device_) return;
  device_->end();
  if (room_bytes_ > 0) on_.device().free(room_);
}

void SetSolver::add(StoredType type, const ValueRows& x) {
  if (!device_) return hessian_.add(to_floats(type, x.host), settings_.threads);
  abi::Slice rows = x.device;
  if (!x.host.empty()) {
    if (room_bytes_ < x.host.size()) {
      if (room_bytes_ > 0) on_.device().free(room_);
      room_bytes_ = 0;
      check(on_.device().allocate(abi::Arena::scratch, x.host.size(), &room_), kSolver);
      room_bytes_ = x.host.size();
    }
    rows = {room_, 0, x.host.size()};
    check(on_.device().write(rows, x.host), kSolver);
  }
  bool fits = true;
  check(device_->gram(rows, on_.info().activation, &fits), kSolver);
  if (!fits)
    throw Error(ExitCode::limit, kSolver, "found an input of a layer that is too large for f16",
                "Take --solver host");
}

void SetSolver::settle() {
  diagonal_.resize(inputs_);
  if (device_)
    check(device_->diagonal(diagonal_), kSolver);
  else
    diagonal_ = quantize::diagonal_of(hessian_);
  dead_ = quantize::dead_columns(diagonal_);
}

std::optional<quantize::Factor> SetSolver::factorise() {
  if (!device_) return quantize::factorise(hessian_, settings_);
  std::optional<quantize::Factor> factor = quantize::find_damping(
      diagonal_, settings_, [&](const quantize::Factor& tried, std::span<const double> diagonal) {
        bool positive = false;
        check(device_->factor(tried.order, diagonal, &positive), kSolver);
        return positive;
      });
  if (!factor || !columns_here_) return factor;
  factor->upper.resize(size_t{inputs_} * inputs_);
  check(device_->read_upper(factor->upper), kSolver);
  return factor;
}

RoundedMatrix SetSolver::round(std::span<const float> weight, uint32_t rows,
                               const quantize::Factor* factor) const {
  return device_ && !columns_here_ ? round_there(weight, rows, factor)
                                   : round_here(weight, rows, factor);
}

RoundedMatrix SetSolver::round_here(std::span<const float> weight, uint32_t rows,
                                    const quantize::Factor* factor) const {
  RoundedMatrix result{.nearest = quantize::round_to_nearest(weight, rows, inputs_, settings_)};
  std::vector<const quantize::QuantizedMatrix*> matrices = {&result.nearest};
  if (factor) {
    std::vector<float> work(weight.begin(), weight.end());
    result.solved = quantize::solve(work, rows, *factor, dead_, settings_);
    matrices.push_back(&*result.solved);
  }
  const auto energy = [&](std::span<const float> x) {
    std::vector<double> sums(x.size() / inputs_);
    check(device_->energies(x, sums), kSolver);
    return std::accumulate(sums.begin(), sums.end(), 0.0);
  };
  const std::vector<double> errors =
      device_ ? quantize::relative_errors(weight, matrices, energy, settings_.threads)
              : quantize::relative_errors(weight, matrices, hessian_, settings_.threads);
  result.nearest_error = errors.front();
  result.error = errors.back();
  return result;
}

RoundedMatrix SetSolver::round_there(std::span<const float> weight, uint32_t rows,
                                     const quantize::Factor* factor) const {
  double energy = 0;
  check(device_->take(weight, rows, &energy), kSolver);
  const auto finish = [&](quantize::QuantizedMatrix& matrix, const abi::RoundedRows& found) {
    matrix.clipped_scales = found.clipped;
    return energy > 0 ? found.lost / energy : 0;
  };
  RoundedMatrix result{.nearest = quantize::empty_matrix(rows, inputs_, settings_)};
  abi::RoundedRows found = rows_of(result.nearest);
  const abi::RangeRules rules = rules_of(result.nearest, settings_);
  check(device_->nearest(rules, &found), kSolver);
  result.error = result.nearest_error = finish(result.nearest, found);
  if (!factor) return result;
  quantize::QuantizedMatrix& solved =
      result.solved.emplace(quantize::empty_matrix_in(rows, *factor, settings_));
  std::vector<uint32_t> of_place;
  for (const uint32_t column : factor->order) of_place.push_back(solved.group_of[column]);
  found = rows_of(solved);
  check(device_->solve(rules, {of_place, settings_.order == quantize::Order::fixed}, &found),
        kSolver);
  result.error = finish(solved, found);
  return result;
}

}  // namespace ropewalk
