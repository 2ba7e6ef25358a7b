// tolerances.h — how far a device may be from the truth: NMSE, sum((a-b)^2) / sum(b^2), by device,
// op and storage. The truth is a reference in double on the same stored numbers.
//
// "hard" fails. Every row that is not the default says why.
#pragma once

#include <string_view>

#include "core/abi/weight.h"

namespace ropewalk::test {

enum class Law { copy, norm, rope, matmul, long_matmul, attention, silu, add };

struct Tolerance {
  std::string_view device;  // a prefix of the device's name; empty: any
  Law law;
  double nmse;
};

// The first row that fits counts.
inline constexpr Tolerance kTolerances[] = {
    // The CPU computes in f32 with one rounding per term: relative errors of some 1e-7, squared.
    {"cpu", Law::norm, 1e-13},
    {"cpu", Law::rope, 1e-14},
    {"cpu", Law::silu, 1e-14},
    {"cpu", Law::add, 1e-14},
    // Errors of a sum grow with the square root of its length, here at most 300 terms.
    {"cpu", Law::matmul, 1e-12},
    // The same for up to 17000 terms: 57 times as many, so 57 times the square.
    {"cpu", Law::long_matmul, 6e-11},
    // Two sums and a softmax in a row.
    {"cpu", Law::attention, 1e-12},

    // Devices that compute or store in f16: 11 bits, so 1e-7 for each value stored. The matrix ops
    // are allowed what llama.cpp allows its backends (tests/test-backend-ops.cpp).
    {"", Law::norm, 1e-6},
    {"", Law::rope, 1e-6},
    {"", Law::silu, 1e-6},
    {"", Law::add, 1e-6},
    {"", Law::matmul, 5e-4},
    {"", Law::long_matmul, 5e-4},
    {"", Law::attention, 5e-4},
    // Bits are moved, not computed; f32 storage may be rounded to f16 activations.
    {"cpu", Law::copy, 0},
    {"", Law::copy, 1e-6},
};

// What a device is expected to reach; worse is recorded in the test's report.
inline constexpr double kExpectedMatrixNmse = 1e-5;

inline double tolerance(std::string_view device, Law law) {
  for (const Tolerance& row : kTolerances)
    if (row.law == law && device.starts_with(row.device)) return row.nmse;
  return 0;
}

}  // namespace ropewalk::test
