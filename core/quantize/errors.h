// errors.h — what a rounded matrix loses of its outputs, on the tokens of H.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/quantize/hessian.h"
#include "core/quantize/solve.h"

namespace ropewalk::quantize {

// tr(D H D^T) / tr(W H W^T) with D = W - dequantised: the share of the output's energy that is
// lost; one for each of the results for this weight. 0 where the denominator is.
//
// Products in f32, sums of 256 of them in f64: some 6 digits are right. Does not depend on the
// number of threads.
std::vector<double> relative_errors(std::span<const float> weight,
                                    const std::vector<const QuantizedMatrix*>& results,
                                    const Hessian& hessian, uint32_t threads);

// The same with another way to the sum of x H x^T over the rows of x (rows, cols).
using Energy = std::function<double(std::span<const float> x)>;
std::vector<double> relative_errors(std::span<const float> weight,
                                    const std::vector<const QuantizedMatrix*>& results,
                                    const Energy& energy, uint32_t threads);

}  // namespace ropewalk::quantize
