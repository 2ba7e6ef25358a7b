// set_solver.h — where a set is solved: on the device where it has the extension "quantize.v1",
// else on the host.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/layerwise/activations.h"
#include "core/quantize/errors.h"
#include "core/quantize/factor.h"
#include "core/quantize/solve.h"

namespace ropewalk {

struct RoundedMatrix {
  quantize::QuantizedMatrix chosen = {};  // solved, or each weight's nearest code
  bool solved = false;
  double nearest_error = 0, error = 0;  // relative_errors(), the second of what is chosen
};

struct SetWork {
  uint32_t inputs;          // their width
  bool keep_upper = false;  // U must be on the host, which then takes the columns from the device
  // What the device finds is compared with what the host does: sums of the first text, U, the codes
  // and errors of some rows. For a set it costs the host about a second.
  bool check = false;
  std::string layer = {};  // the set's first, which errors name
};

class SetSolver {
 public:
  // `solver`: a device's, or nullptr, where the host solves. REQUIRES: it, `on` and the settings
  // outlive this.
  SetSolver(const LayerDevice& on, abi::QuantizeSolver* solver, const SetWork& work,
            const quantize::Settings& settings);
  ~SetSolver();
  SetSolver(const SetSolver&) = delete;
  SetSolver& operator=(const SetSolver&) = delete;

  // The inputs of some tokens, as the device has them. What compares throws Error (device_lost)
  // where the device is wrong.
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
  double energy_of(std::span<const float> x) const;
  [[noreturn]] void refuse(const char* what) const;
  void expect_near(double found, double meant, double size, const char* what) const;
  void check_sums(StoredType type, const abi::Slice& x);
  void check_factor(const quantize::Factor& factor);
  void check_rows(std::span<const float> weight, const quantize::Factor& factor,
                  const quantize::QuantizedMatrix& found) const;

  const LayerDevice& on_;
  abi::QuantizeSolver* device_;  // nullptr: the host solves
  const quantize::Settings& settings_;
  uint32_t inputs_;
  bool columns_here_, check_;
  std::string layer_;
  uint64_t tokens_ = 0;
  abi::Buffer room_{};  // of the device, for inputs that come from the host
  uint64_t room_bytes_ = 0;
  quantize::Hessian hessian_;  // the host's; of the device's where it is checked
  std::vector<double> diagonal_;
  std::vector<bool> dead_;
};

}  // namespace ropewalk
