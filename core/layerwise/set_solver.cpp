#include "core/layerwise/set_solver.h"

#include <numeric>
#include <utility>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/round.h"
#include "core/modules/library.h"

namespace ropewalk {
namespace {

constexpr const char* kSolver = "the device's solver";

}  // namespace

abi::QuantizeSolver* device_solver(const LayerDevice& on) {
  void* interface = nullptr;
  if (!on.device().extension(abi::kQuantize, &interface).ok()) return nullptr;
  return static_cast<abi::QuantizeSolver*>(interface);
}

SetSolver::SetSolver(abi::QuantizeSolver* device, uint32_t inputs,
                     const quantize::Settings& settings)
    : device_(device), settings_(settings), inputs_(inputs), hessian_(device ? 0 : inputs) {
  if (device_) check(device_->begin(inputs), kSolver);
}

SetSolver::~SetSolver() {
  if (device_) device_->end();
}

void SetSolver::add(StoredType type, std::span<const std::byte> x) {
  if (!device_) return hessian_.add(to_floats(type, x), settings_.threads);
  tokens_ += x.size() / stored_size(type) / inputs_;
  if (type == StoredType::f16) return check(device_->gram(x), kSolver);
  // Matrix cores read f16, the layers' own products too.
  const std::vector<float> values = to_floats(type, x);
  std::vector<std::byte> halves(values.size() * sizeof(uint16_t));
  const size_t span = values.size() / inputs_;  // of a piece: as many as there are tokens
  parallel_for(inputs_, settings_.threads, [&](size_t i) {
    round_to(StoredType::f16, std::span(values).subspan(i * span, span),
             std::span(halves).subspan(i * span * sizeof(uint16_t), span * sizeof(uint16_t)));
  });
  if (count_non_finite(StoredType::f16, halves).count > 0)
    throw Error(ExitCode::limit, kSolver, "found an input of a layer that is too large for f16",
                "Take --solver host");
  check(device_->gram(halves), kSolver);
}

void SetSolver::settle() {
  if (!device_) return;
  std::vector<double> lower(size_t{inputs_} * inputs_);
  check(device_->read_gram(lower), kSolver);
  hessian_ = quantize::Hessian(inputs_, tokens_, std::move(lower));
}

std::optional<quantize::Factor> SetSolver::factorise() const {
  if (!device_) return quantize::factorise(hessian_, settings_);
  return quantize::factorise(hessian_, settings_, [&](std::span<double> matrix, uint32_t n) {
    std::vector<float> upper(matrix.size());
    bool positive = false;
    check(device_->factor({matrix, n}, upper, &positive), kSolver);
    if (!positive) upper.clear();
    return upper;
  });
}

std::vector<double> SetSolver::errors(
    std::span<const float> weight,
    const std::vector<const quantize::QuantizedMatrix*>& results) const {
  if (!device_) return quantize::relative_errors(weight, results, hessian_, settings_.threads);
  const auto energy = [&](std::span<const float> x) {
    std::vector<double> sums(x.size() / inputs_);
    check(device_->energies(x, sums), kSolver);
    return std::accumulate(sums.begin(), sums.end(), 0.0);
  };
  return quantize::relative_errors(weight, results, energy, settings_.threads);
}

}  // namespace ropewalk
