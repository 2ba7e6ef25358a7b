// op_test.h — the fixture of every op's test: a device by name, visible skips, NMSE against a
// truth.
//
// A suite is instantiated as Ops/<Op>.<case>/<device>. A case that a device does not support is
// skipped with the device's reason; on the CPU, the definition, it fails. A new op is a function
// that makes its OpCase for a number of rows (op_case.h), and a line:
//
//   TEST_P(Add, odd_width) { run_row_counts(odd_width); }
//
// Tests that look at more than one step of a graph take with_session().
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/ops/harness/devices.h"
#include "tests/ops/harness/op_case.h"

namespace ropewalk::test {

// Row counts that cross every block size a kernel is likely to have (exllamav3's list).
inline constexpr uint32_t kRowCounts[] = {1, 2, 8, 16, 17, 31, 32, 33, 256};

inline constexpr abi::KeyRotation kRotatedKeys = abi::KeyRotation::before_cache;

class OpTest : public testing::TestWithParam<std::string> {
 protected:
  abi::Device& device() const { return test::device(GetParam()); }

  // Runs the step of a case and compares its outputs with their truths.
  void run(const OpCase& c);
  // The same, but the host may read the results of the last nodes alone: kernels may compute the
  // others by the way, or not at all.
  void run_fused(const OpCase& c);
  // run() of a case for each number of rows in `counts`, or in kRowCounts.
  void run_rows(std::span<const uint32_t> counts, const std::function<OpCase(uint32_t)>& make);
  void run_row_counts(const std::function<OpCase(uint32_t)>& make) { run_rows(kRowCounts, make); }
  // Runs the step of a case and returns its session, for other checks of the outputs.
  void run_then(const OpCase& c, const std::function<void(Session&)>& look);

  // Runs `body` with a session of the case on the device under test.
  void with_session(const Case& description, const abi::ProgramShape& shape,
                    const std::function<void(Session&)>& body);

  // NaN in `found` and a size other than the truth's fail.
  void expect_close(ToleranceClass kind, std::span<const float> found,
                    std::span<const double> truth);

 private:
  void with_steps(const Case& description, const abi::ProgramShape& shape, Steps steps,
                  const std::function<void(Session&)>& body);
  void set_and_run(const OpCase& c, Session& session);
  void expect_results(const OpCase& c, Session& session);
};

double nmse(std::span<const float> found, std::span<const double> truth);

std::string device_of(const testing::TestParamInfo<std::string>& info);

}  // namespace ropewalk::test

// Every suite runs on every device found.
#define RW_ON_EVERY_DEVICE(suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(Ops, suite, testing::ValuesIn(ropewalk::test::device_names()), \
                           ropewalk::test::device_of)

// On a variant that takes long to compile for; there may be none.
#define RW_ON_SLOW_DEVICE(suite, name)                                                             \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(suite);                                            \
  INSTANTIATE_TEST_SUITE_P(Ops, suite, testing::ValuesIn(ropewalk::test::slow_device_names(name)), \
                           ropewalk::test::device_of)
