// set_solver.h — where a set is solved: on the device where it has the extension "quantize.v1",
// else on the host.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/layerwise/activations.h"
#include "core/quantize/errors.h"
#include "core/quantize/factor.h"
#include "core/quantize/solve.h"

namespace ropewalk {

enum class SolveOn : uint8_t { host, device };

struct RoundedMatrix {
  quantize::QuantizedMatrix nearest = {};  // each weight to its nearest code
  std::optional<quantize::QuantizedMatrix> solved = {};
  double nearest_error = 0, error = 0;  // relative_errors(), the second of what is chosen

  const quantize::QuantizedMatrix& chosen() const { return solved ? *solved : nearest; }
};

class SetSolver {
 public:
  // For inputs of this width. Where U must be on the host, the device leaves it the columns.
  // REQUIRES: `on` and the settings outlive this; a device that has a solver, for SolveOn::device.
  SetSolver(const LayerDevice& on, SolveOn where, uint32_t inputs,
            const quantize::Settings& settings, bool keep_upper);
  ~SetSolver();
  SetSolver(const SetSolver&) = delete;
  SetSolver& operator=(const SetSolver&) = delete;

  // The inputs of some tokens, as the device has them.
  void add(StoredType type, const ValueRows& x);
  // The sums are complete.
  void settle();
  const std::vector<bool>& dead() const { return dead_; }

  std::optional<quantize::Factor> factorise();
  // `weight` (rows, inputs). Without a factor it is rounded to nearest alone.
  RoundedMatrix round(std::span<const float> weight, uint32_t rows,
                      const quantize::Factor* factor) const;

 private:
  RoundedMatrix round_here(std::span<const float> weight, uint32_t rows,
                           const quantize::Factor* factor) const;
  RoundedMatrix round_there(std::span<const float> weight, uint32_t rows,
                            const quantize::Factor* factor) const;

  const LayerDevice& on_;
  abi::QuantizeSolver* device_;  // nullptr: the host solves
  const quantize::Settings& settings_;
  uint32_t inputs_;
  bool columns_here_;
  abi::Buffer room_{};  // of the device, for inputs that come from the host
  uint64_t room_bytes_ = 0;
  quantize::Hessian hessian_;
  std::vector<double> diagonal_;
  std::vector<bool> dead_;
};

}  // namespace ropewalk
