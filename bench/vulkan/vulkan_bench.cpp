// vulkan_bench — 4-bit matrix products at the shapes that ggml's `test-backend-ops perf` uses for
// its q4_0 (m 4096, k 14336), on every Vulkan device found, beside the device's measured limits.
//
//   FLOP = 2 rows depth width;  bytes = packed weight + x + y. "of_copy" is the fraction of the
//   measured copy bandwidth, "of_rate" of the measured f32 multiply-add rate.
//
//   vulkan_bench [rows...]   default 1 8 512
//
// "act-order" gathers x before the product: a permutation that did not fold. scripts/vulkan-peer.sh
// runs this and ggml's program alternately.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "tests/ops/harness/devices.h"
#include "tests/ops/harness/session.h"

namespace ropewalk::test {
namespace {

constexpr uint32_t kDepth = 14336, kWidth = 4096;
constexpr double kSeconds = 1;  // of each measurement, at least three runs

struct Product {
  const char* name;
  uint32_t group_size;
  bool act_order;
};
constexpr Product kProducts[] = {
    {"g32", 32, false}, {"g32 act-order", 32, true}, {"g128 act-order", 128, true}};

struct Ceilings {
  double read, copy, rate;
};

double ceiling(const std::string& name, abi::Measurement what) {
  double value = 0;
  check(device(name).measure(what, &value), "measure");
  return value;
}

struct Taken {
  double seconds, processor_seconds;
};

Taken time_of(Session& session, const StepData& step) {
  session.repeat(step);  // warm-up: some drivers compile at the first run
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t processor_start = std::clock();
  double passed = 0;
  int runs = 0;
  do {
    session.repeat(step);
    ++runs;
    passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  } while (passed < kSeconds || runs < 3);
  const double processor =
      static_cast<double>(std::clock() - processor_start) / static_cast<double>(CLOCKS_PER_SEC);
  return {passed / runs, processor / runs};
}

void measure_matmul(const std::string& name, const Ceilings& ceilings, const Product& product,
                    uint32_t rows) {
  Random random(1);
  const StoredWeight weight =
      random_gptq({kDepth, kWidth, 4, product.group_size, 1, abi::DType::f16}, random);
  Case c;
  const uint32_t input = c.activation("x", {abi::kRows, kDepth});
  uint32_t x = input;
  if (product.act_order) {
    x = c.activation("x gathered", {abi::kRows, kDepth});
    c.node(abi::Op::permute, {input, c.order("order", random.permutation(kDepth))}, {x}, {});
  }
  const uint32_t y = c.activation("y", {abi::kRows, kWidth});
  c.node(abi::Op::matmul, {x, c.weight("w", weight)}, {y}, {});
  Session session(c, device(name), {rows, rows, 1, 1}, Steps::alone);
  session.set(input, random.values(uint64_t{rows} * kDepth));
  const auto [seconds, processor_seconds] = time_of(session, plain_step(rows));

  uint64_t packed = 0;
  check(device(name).packed_bytes(weight.view(), &packed), "packed_bytes");
  const double bytes = static_cast<double>(packed) + 4.0 * rows * (kDepth + kWidth);
  const double flop = 2.0 * rows * kDepth * kWidth;
  std::printf(
      "%s matmul gptq4 %-14s %ux%u rows %4u: %9.0f us %8.2f GFLOP/s %8.2f GB/s  per core %.2f"
      "  of_copy %.2f  of_rate %.2f\n",
      name.c_str(), product.name, kDepth, kWidth, rows, 1e6 * seconds, 1e-9 * flop / seconds,
      1e-9 * bytes / seconds, 1e-9 * flop / processor_seconds, bytes / seconds / ceilings.copy,
      flop / seconds / ceilings.rate);
  std::fflush(stdout);
}

void measure_device(const std::string& name, const std::vector<uint32_t>& rows) {
  const Ceilings ceilings{ceiling(name, abi::Measurement::read_bandwidth),
                          ceiling(name, abi::Measurement::copy_bandwidth),
                          ceiling(name, abi::Measurement::matmul_rate)};
  const abi::DeviceInfo& info = device(name).info();
  std::printf("%s: %s, %s; read %.1f GB/s, copy %.1f GB/s, matrix products %.1f GFLOP/s\n",
              name.c_str(), info.name, info.driver, 1e-9 * ceilings.read, 1e-9 * ceilings.copy,
              1e-9 * ceilings.rate);
  for (const uint32_t r : rows)
    for (const Product& product : kProducts) measure_matmul(name, ceilings, product, r);
}

}  // namespace
}  // namespace ropewalk::test

int main(int argc, char** argv) {
  using namespace ropewalk::test;
  std::vector<uint32_t> rows;
  for (int i = 1; i < argc; ++i) rows.push_back(static_cast<uint32_t>(std::atoi(argv[i])));
  if (rows.empty()) rows = {1, 8, 512};
  for (const std::string& name : device_names())
    if (name.starts_with("vulkan") && !is_variant(name)) measure_device(name, rows);
}
