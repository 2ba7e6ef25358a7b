#include "backends/cpu/measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "backends/cpu/machine.h"
#include "core/abi/guard.h"

namespace ropewalk::cpu {
namespace {

constexpr int kRepeats = 5;
constexpr double kAlways = 1e9;  // a cost for which the pool always uses all threads

// Seconds of the fastest run; the others were disturbed.
template <class Body>
double fastest(const Body& body) {
  double best = 1e30;
  for (int i = 0; i < kRepeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    best = std::min(best, taken.count());
  }
  return best;
}

// Words of a buffer too large for any cache: four times the last level, as STREAM asks, and at
// least 256 MiB.
uint64_t stream_words() {
  return std::max<uint64_t>(256 << 20, 4 * last_level_cache()) / sizeof(uint64_t);
}

double read_bandwidth(Pool& pool) {
  const std::vector<uint64_t> data(stream_words(), 1);
  std::vector<uint64_t> sums(pool.lanes());
  const double seconds = fastest([&] {
    pool.run(pool.lanes(), kAlways, [&](uint32_t part, uint32_t) noexcept {
      const uint64_t first = data.size() * part / pool.lanes();
      const uint64_t last = data.size() * (part + 1) / pool.lanes();
      uint64_t sum[8] = {};
      for (uint64_t i = first; i + 8 <= last; i += 8)
        for (int lane = 0; lane < 8; ++lane) sum[lane] += data[i + lane];
      for (const uint64_t s : sum) sums[part] += s;
    });
  });
  // The sums are used, so that the compiler cannot leave out the reads.
  if (std::count(sums.begin(), sums.end(), 0u))
    throw abi::Failure(abi::StatusCode::internal, "the bandwidth test read nothing");
  return static_cast<double>(data.size() * sizeof(uint64_t)) / seconds;
}

double copy_bandwidth(Pool& pool) {
  const std::vector<uint64_t> from(stream_words(), 1);
  std::vector<uint64_t> to(from.size());
  const double seconds = fastest([&] {
    pool.run(pool.lanes(), kAlways, [&](uint32_t part, uint32_t) noexcept {
      const uint64_t first = from.size() * part / pool.lanes();
      const uint64_t last = from.size() * (part + 1) / pool.lanes();
      std::memcpy(to.data() + first, from.data() + first, (last - first) * sizeof(uint64_t));
    });
  });
  return static_cast<double>(2 * from.size() * sizeof(uint64_t)) / seconds;
}

// This device multiplies in f32, however weights are stored: the rate of the product loop with all
// data in the first-level cache.
double matmul_rate(Pool& pool, const Kernels& kernels) {
  constexpr uint32_t kRows = 48, kDepth = 128, kTimes = 2000;
  const std::vector<float> x(kRows * kDepth, 1.0f), w(kDepth * kPanel, 1.0f);
  std::vector<float> y(uint64_t{pool.lanes()} * kRows * kPanel);
  const double seconds = fastest([&] {
    pool.run(pool.lanes(), kAlways, [&](uint32_t part, uint32_t) noexcept {
      for (uint32_t i = 0; i < kTimes; ++i)
        kernels.multiply({y.data() + uint64_t{part} * kRows * kPanel, x.data(), w.data(), kPanel,
                          kDepth, kPanel, kRows, kDepth, kPanel});
    });
  });
  return 2.0 * kRows * kDepth * kPanel * kTimes * pool.lanes() / seconds;
}

}  // namespace

double measure(abi::Measurement what, Pool& pool, const Kernels& kernels) {
  switch (what) {
    case abi::Measurement::read_bandwidth:
      return read_bandwidth(pool);
    case abi::Measurement::copy_bandwidth:
      return copy_bandwidth(pool);
    case abi::Measurement::f16_matmul_rate:
      return matmul_rate(pool, kernels);
  }
  throw abi::Failure(abi::StatusCode::unsupported, "this measurement is not known");
}

}  // namespace ropewalk::cpu
