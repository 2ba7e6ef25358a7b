// pull.h — what makes the solver aim at the dense model's outputs, rather than at those that the
// dense weights have on the quantised model's inputs.
//
//   P = 1/4 triu(D U^T, 1) U     in the solver's order; strictly upper
//
// Each column of weights w_k adds w_k P_kj to those behind it, when it is rounded.
// Source: Li et al., GPTAQ, 2025; the factor 1/4 is the authors'.
#pragma once

#include <cstdint>
#include <vector>

#include "core/quantize/factor.h"

namespace ropewalk::quantize {

// P (inputs, inputs), rounded to f32. The same for any number of threads.
std::vector<float> pull_of(const Shift& shift, const Factor& factor, uint32_t threads);

}  // namespace ropewalk::quantize
