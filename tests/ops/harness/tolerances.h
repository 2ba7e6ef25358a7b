// tolerances.h — how far a device may be from the truth: NMSE, sum((a-b)^2) / sum(b^2), by device,
// op and storage. The truth is a reference in double on the same stored numbers.
//
// "hard" fails. Every row that is not the default says why.
#pragma once

#include <string_view>

#include "core/abi/weight.h"

namespace ropewalk::test {

enum class ToleranceClass { copy, norm, rope, matmul, long_matmul, attention, silu, add };

struct Tolerance {
  std::string_view device;  // a prefix of the device's name; empty: any
  ToleranceClass kind;
  double nmse;
};

// The first row that fits counts.
inline constexpr Tolerance kTolerances[] = {
    // The CPU computes in f32 with one rounding per term: relative errors of some 1e-7, squared.
    {"cpu", ToleranceClass::norm, 1e-13},
    {"cpu", ToleranceClass::rope, 1e-14},
    {"cpu", ToleranceClass::silu, 1e-14},
    {"cpu", ToleranceClass::add, 1e-14},
    // Errors of a sum grow with the square root of its length, here at most 300 terms.
    {"cpu", ToleranceClass::matmul, 1e-12},
    // The same for up to 17000 terms: 57 times as many, so 57 times the square.
    {"cpu", ToleranceClass::long_matmul, 6e-11},
    // Two sums and a softmax in a row.
    {"cpu", ToleranceClass::attention, 1e-12},

    // Sums in f32 of codes and of f16 weights as they are; x has 11 bits, as two planes 15. A whole
    // layer on matrix cores, whose attention is in f16 as well, reaches 1.7e-6.
    {"vulkan", ToleranceClass::matmul, 3e-6},
    {"vulkan", ToleranceClass::long_matmul, 1e-6},

    // Devices that compute or store in f16: 11 bits, so 1e-7 for each value stored. The matrix ops
    // are allowed what llama.cpp allows its backends (tests/test-backend-ops.cpp).
    {"", ToleranceClass::norm, 1e-6},
    {"", ToleranceClass::rope, 1e-6},
    {"", ToleranceClass::silu, 1e-6},
    {"", ToleranceClass::add, 1e-6},
    {"", ToleranceClass::matmul, 5e-4},
    {"", ToleranceClass::long_matmul, 5e-4},
    {"", ToleranceClass::attention, 5e-4},
    // Bits are moved, not computed; f32 storage may be rounded to f16 activations.
    {"cpu", ToleranceClass::copy, 0},
    {"", ToleranceClass::copy, 1e-6},
};

// What a device is expected to reach; worse is recorded in the test's report.
inline constexpr double kExpectedMatrixNmse = 1e-5;

inline double tolerance(std::string_view device, ToleranceClass kind) {
  for (const Tolerance& row : kTolerances)
    if (row.kind == kind && device.starts_with(row.device)) return row.nmse;
  return 0;
}

}  // namespace ropewalk::test
