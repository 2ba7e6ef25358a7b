#include "tests/ops/op_test.h"

#include <cmath>

namespace ropewalk::test {

void OpTest::run(const OpCase& c) {
  run_then(c, [&](Session& session) { expect_results(c, session); });
}

void OpTest::run_fused(const OpCase& c) {
  with_steps(c.graph, c.shape, Steps::fused, [&](Session& session) {
    set_and_run(c, session);
    expect_results(c, session);
  });
}

void OpTest::expect_results(const OpCase& c, Session& session) {
  for (const OpCase::Expected& result : c.expected)
    expect_close(result.kind, session.get(result.tensor), result.truth);
}

void OpTest::set_and_run(const OpCase& c, Session& session) {
  for (const Input& input : c.inputs) session.set(input, input.values);
  session.run(c.step);
}

void OpTest::run_rows(std::span<const uint32_t> counts,
                      const std::function<OpCase(uint32_t)>& make) {
  for (const uint32_t rows : counts) {
    SCOPED_TRACE(std::to_string(rows) + " rows");
    run(make(rows));
    if (IsSkipped() || HasFatalFailure()) return;
  }
}

void OpTest::run_then(const OpCase& c, const std::function<void(Session&)>& look) {
  with_session(c.graph, c.shape, [&](Session& session) {
    set_and_run(c, session);
    look(session);
  });
}

void OpTest::with_session(const Case& description, const abi::ProgramShape& shape,
                          const std::function<void(Session&)>& body) {
  with_steps(description, shape, Steps::alone, body);
}

void OpTest::with_steps(const Case& description, const abi::ProgramShape& shape, Steps steps,
                        const std::function<void(Session&)>& body) {
  try {
    Session session(description, device(), shape, steps);
    body(session);
  } catch (const Unsupported& reason) {
    if (is_cpu(GetParam())) FAIL() << "the cpu backend refuses: " << reason.what();
    GTEST_SKIP() << GetParam() << " does not support this: " << reason.what();
  }
}

double nmse(std::span<const float> found, std::span<const double> truth) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    const double difference = static_cast<double>(found[i]) - truth[i];
    error += difference * difference;
    norm += truth[i] * truth[i];
  }
  return error == 0 ? 0 : error / norm;  // 0/0: nothing but zeros, and rightly so
}

void OpTest::expect_close(ToleranceClass kind, std::span<const float> found,
                          std::span<const double> truth) {
  ASSERT_EQ(found.size(), truth.size());
  const double error = nmse(found, truth);
  EXPECT_FALSE(std::isnan(error)) << "a result is not a number";
  EXPECT_LE(error, tolerance(GetParam(), kind)) << "NMSE over " << truth.size() << " values";
  const bool matrix = kind == ToleranceClass::matmul || kind == ToleranceClass::attention;
  if (matrix && error > kExpectedMatrixNmse) RecordProperty("nmse", std::to_string(error));
}

std::string device_of(const testing::TestParamInfo<std::string>& info) { return info.param; }

}  // namespace ropewalk::test
