// op_test.h — the fixture of every op's test: a device by name, visible skips, NMSE against a
// truth.
//
// A suite is instantiated as Ops/<Op>.<case>/<device>. A case that a device does not support is
// skipped with the device's reason; on the CPU, the definition, it fails.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/ops/devices.h"
#include "tests/ops/session.h"
#include "tests/ops/tolerances.h"

namespace ropewalk::test {

// Row counts that cross every block size a kernel is likely to have (exllamav3's list).
inline constexpr uint32_t kRowCounts[] = {1, 2, 8, 16, 17, 31, 32, 33, 256};

inline constexpr abi::KeyRotation kRotatedKeys = abi::KeyRotation::before_cache;

class OpTest : public testing::TestWithParam<std::string> {
 protected:
  abi::Device& device() const { return test::device(GetParam()); }

  // Runs `body` with a session of the case on the device under test.
  void with_session(const Case& description, const abi::ProgramShape& shape,
                    const std::function<void(Session&)>& body);

  // NaN in `found` and a size other than the truth's fail.
  void expect_close(Law law, std::span<const float> found, std::span<const double> truth);
};

double nmse(std::span<const float> found, std::span<const double> truth);

std::string device_of(const testing::TestParamInfo<std::string>& info);

}  // namespace ropewalk::test

// Every suite runs on every device found.
#define RW_ON_EVERY_DEVICE(suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(Ops, suite, testing::ValuesIn(ropewalk::test::device_names()), \
                           ropewalk::test::device_of)
