#include "core/layerwise/set_solver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"
#include "core/modules/library.h"

namespace ropewalk {
namespace {

constexpr const char* kSolver = "the device's solver";
constexpr uint32_t kCheckedRows = 64;
// Sums in another order differ by far less, whatever is wrong by far more.
constexpr double kTolerance = 1e-3;

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
SetSolver::SetSolver(const LayerDevice& on, abi::QuantizeSolver* solver, const SetWork& work,
                     const quantize::Settings& settings)
    : on_(on),
      device_(solver),
      settings_(settings),
      inputs_(work.inputs),
      columns_here_(work.keep_upper || settings.as_autogptq ||
                    settings.search == quantize::Search::mse),
      check_(work.check && solver),
      layer_(work.layer),
      hessian_(device_ ? 0 : work.inputs) {
  if (device_) check(device_->begin(inputs_), kSolver);
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
    throw Error(ExitCode::limit, layer_, "reads a value that is too large for f16",
                "The device's solver needs f16: take --solver host");
  if (check_ && tokens_ == 0) check_sums(type, rows);
  tokens_ += rows.bytes / stored_size(type) / inputs_;
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
  if (!factor || !(columns_here_ || check_)) return factor;
  factor->upper.resize(size_t{inputs_} * inputs_);
  check(device_->read_upper(factor->upper), kSolver);
  if (check_) check_factor(*factor);
  return factor;
}

RoundedMatrix SetSolver::round(std::span<const float> weight, uint32_t rows,
                               const quantize::Factor* factor) const {
  return device_ && !columns_here_ ? round_there(weight, rows, factor)
                                   : round_here(weight, rows, factor);
}

RoundedMatrix SetSolver::round_here(std::span<const float> weight, uint32_t rows,
                                    const quantize::Factor* factor) const {
  quantize::QuantizedMatrix nearest = quantize::round_to_nearest(weight, rows, inputs_, settings_);
  std::vector<const quantize::QuantizedMatrix*> matrices = {&nearest};
  RoundedMatrix result{.solved = factor != nullptr};
  if (factor) {
    std::vector<float> work(weight.begin(), weight.end());
    result.chosen = quantize::solve(work, rows, *factor, dead_, settings_);
    matrices.push_back(&result.chosen);
  }
  const std::vector<double> errors =
      device_ ? quantize::relative_errors(
                    weight, matrices, [&](std::span<const float> x) { return energy_of(x); },
                    settings_.threads)
              : quantize::relative_errors(weight, matrices, hessian_, settings_.threads);
  result.nearest_error = errors.front();
  result.error = errors.back();
  if (!factor) result.chosen = std::move(nearest);
  return result;
}

RoundedMatrix SetSolver::round_there(std::span<const float> weight, uint32_t rows,
                                     const quantize::Factor* factor) const {
  double energy = 0;
  check(device_->take(weight, rows, &energy), kSolver);
  const auto share = [&](double lost) { return energy > 0 ? lost / energy : 0; };
  quantize::QuantizedMatrix chosen = factor ? quantize::empty_matrix_in(rows, *factor, settings_)
                                            : quantize::empty_matrix(rows, inputs_, settings_);
  const abi::RangeRules rules = rules_of(chosen, settings_);
  abi::RoundedRows nearest, found = rows_of(chosen);
  check(device_->nearest(rules, factor ? &nearest : &found), kSolver);
  const double nearest_error = share(factor ? nearest.lost : found.lost);
  if (factor) {
    std::vector<uint32_t> of_place;
    for (const uint32_t column : factor->order) of_place.push_back(chosen.group_of[column]);
    check(device_->solve(rules, {of_place, settings_.order == quantize::Order::fixed}, &found),
          kSolver);
  }
  chosen.clipped_scales = found.clipped;
  if (check_ && factor) check_rows(weight, *factor, chosen);
  return {std::move(chosen), factor != nullptr, nearest_error, share(found.lost)};
}

double SetSolver::energy_of(std::span<const float> x) const {
  std::vector<double> sums(x.size() / inputs_);
  check(device_->energies(x, sums), kSolver);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

void SetSolver::refuse(const char* what) const {
  throw Error(ExitCode::device_lost, layer_,
              fmt::format("the device's solver found {} that the host does not find", what),
              "Take --solver host, and tell us which device it is");
}

void SetSolver::expect_near(double found, double meant, double size, const char* what) const {
  if (!(std::abs(found - meant) <= kTolerance * size)) refuse(what);
}

void SetSolver::check_sums(StoredType type, const abi::Slice& x) {
  std::vector<std::byte> bytes(x.bytes);
  check(on_.device().read(bytes, x), kSolver);
  std::vector<float> values = to_floats(type, bytes);
  bytes.resize(values.size() * stored_size(StoredType::f16));
  round_to(StoredType::f16, values, bytes);
  quantize::Hessian meant(inputs_);
  meant.add(to_floats(StoredType::f16, bytes), settings_.threads);
  std::vector<double> found(size_t{inputs_} * inputs_);
  check(device_->read_gram(found), kSolver);
  const std::vector<double> size = quantize::diagonal_of(meant);
  for (size_t i = 0; i < inputs_; ++i)
    for (size_t j = 0; j <= i; ++j)
      expect_near(found[i * inputs_ + j], meant.lower()[i * inputs_ + j],
                  std::sqrt(size[i] * size[j]), "sums of inputs");
}

void SetSolver::check_factor(const quantize::Factor& factor) {
  std::vector<double> lower(size_t{inputs_} * inputs_);
  check(device_->read_gram(lower), kSolver);
  hessian_ = quantize::Hessian(inputs_, tokens_, std::move(lower));
  quantize::Settings settings = settings_;
  settings.damp = factor.damp;
  const std::optional<quantize::Factor> meant = quantize::factorise(hessian_, settings);
  if (!meant || meant->damp != factor.damp) refuse("a factor");
  for (uint32_t i = 0; i < inputs_; ++i)
    for (uint32_t j = 0; j < inputs_; ++j)
      expect_near(factor.at(i, j), meant->at(i, j), meant->at(i, i), "a factor");
}

void SetSolver::check_rows(std::span<const float> weight, const quantize::Factor& factor,
                           const quantize::QuantizedMatrix& found) const {
  const uint32_t rows = std::min(found.rows, kCheckedRows);
  const auto part = weight.first(size_t{rows} * inputs_);
  std::vector<float> work(part.begin(), part.end());
  const quantize::QuantizedMatrix meant = quantize::solve(work, rows, factor, dead_, settings_);
  const auto same_rows = [&](const auto& all, const auto& some) {
    for (size_t i = 0; i < some.size(); ++i)
      if (all[i / rows * found.rows + i % rows] != some[i]) refuse("rounded weights");
  };
  same_rows(found.codes, meant.codes);
  same_rows(found.scales, meant.scales);
  same_rows(found.zeros, meant.zeros);
  const auto energy = [&](std::span<const float> x) { return energy_of(x); };
  const double error = quantize::relative_errors(part, {&meant}, energy, settings_.threads)[0];
  const double right = quantize::relative_errors(part, {&meant}, hessian_, settings_.threads)[0];
  expect_near(error, right, right, "errors");
}

}  // namespace ropewalk
