// set_solver.h — where the sums of a set's inputs, their factor and the errors are computed: on the
// device where it has the extension "quantize.v1", else on the host.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/abi/quantize.h"
#include "core/checkpoint/formats/tensor_info.h"
#include "core/layerwise/layer_device.h"
#include "core/quantize/errors.h"
#include "core/quantize/factor.h"

namespace ropewalk {

enum class SolveOn : uint8_t { host, device };

// The device's solver; nullptr where it has none. Owned by the device.
abi::QuantizeSolver* device_solver(const LayerDevice& on);

class SetSolver {
 public:
  // For inputs of this width. REQUIRES: a device's solver, or nullptr for the host, outlives this.
  SetSolver(abi::QuantizeSolver* device, uint32_t inputs, const quantize::Settings& settings);
  ~SetSolver();
  SetSolver(const SetSolver&) = delete;
  SetSolver& operator=(const SetSolver&) = delete;

  // The inputs of some tokens, as the device has them.
  void add(StoredType type, std::span<const std::byte> x);
  // The sums are complete.
  void settle();
  const quantize::Hessian& hessian() const { return hessian_; }

  std::optional<quantize::Factor> factorise() const;
  std::vector<double> errors(std::span<const float> weight,
                             const std::vector<const quantize::QuantizedMatrix*>& results) const;

 private:
  abi::QuantizeSolver* device_;
  const quantize::Settings& settings_;
  uint32_t inputs_;
  uint64_t tokens_ = 0;  // that the device has seen
  quantize::Hessian hessian_;
};

}  // namespace ropewalk
