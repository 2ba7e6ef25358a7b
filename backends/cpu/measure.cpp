#include "backends/cpu/measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <vector>

#include "backends/cpu/machine.h"
#include "backends/cpu/memory.h"
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

// Words in memory like that of the weights, too many for any cache: four times the last level, as
// STREAM asks, and at least 256 MiB. All are 1.
class StreamWords {
 public:
  explicit StreamWords(Pool& pool) {
    const uint64_t bytes = std::max<uint64_t>(256 << 20, 4 * last_level_cache());
    auto* data = memory_.address({memory_.allocate(bytes), 0, bytes});
    words_ = {reinterpret_cast<uint64_t*>(data), bytes / sizeof(uint64_t)};
    for_each_part(pool, [](std::span<uint64_t> part, uint32_t) { std::ranges::fill(part, 1); });
  }

  uint64_t bytes() const { return words_.size_bytes(); }

  // Calls body(words, lane) with each thread's part.
  template <class Body>
  void for_each_part(Pool& pool, const Body& body) {
    pool.run(pool.lanes(), kAlways, [&](uint32_t part, uint32_t) noexcept {
      const uint64_t first = words_.size() * part / pool.lanes();
      const uint64_t last = words_.size() * (part + 1) / pool.lanes();
      body(words_.subspan(first, last - first), part);
    });
  }

 private:
  Memory memory_;
  std::span<uint64_t> words_;
};

double read_bandwidth(Pool& pool) {
  StreamWords data(pool);
  std::vector<uint64_t> sums(pool.lanes());
  const double seconds = fastest([&] {
    data.for_each_part(pool, [&](std::span<const uint64_t> words, uint32_t part) {
      uint64_t sum[8] = {};
      for (uint64_t i = 0; i + 8 <= words.size(); i += 8)
        for (int lane = 0; lane < 8; ++lane) sum[lane] += words[i + lane];
      for (const uint64_t s : sum) sums[part] += s;
    });
  });
  // The sums are used, so that the compiler cannot leave out the reads.
  if (std::count(sums.begin(), sums.end(), 0u))
    throw abi::Failure(abi::StatusCode::internal, "the bandwidth test read nothing");
  return static_cast<double>(data.bytes()) / seconds;
}

double copy_bandwidth(Pool& pool) {
  StreamWords data(pool);  // its second half is written
  const double seconds = fastest([&] {
    data.for_each_part(pool, [](std::span<uint64_t> words, uint32_t) {
      const size_t half = words.size() / 2;
      std::memcpy(words.data() + half, words.data(), half * sizeof(uint64_t));
    });
  });
  return static_cast<double>(data.bytes()) / seconds;
}

// Of the arithmetic that multiplies codes of 4 bits: the rate of the product loop with all data in
// the first-level cache.
double matmul_rate(Pool& pool, const Kernels& kernels) {
  constexpr uint32_t kRows = 48, kDepth = 128, kTimes = 2000;
  const std::vector<float> x(kRows * kDepth, 1.0f), w(kDepth * kPanel, 1.0f);
  const std::vector<IntegerBlock> integers(x.size() / kBlock);
  const CodeRun run{reinterpret_cast<const uint32_t*>(w.data()), w.data(), w.data(), ScaleType::f32,
                    kDepth};
  std::vector<float> y(uint64_t{pool.lanes()} * kRows * kPanel);
  const double seconds = fastest([&] {
    pool.run(pool.lanes(), kAlways, [&](uint32_t part, uint32_t) noexcept {
      float* sums = y.data() + uint64_t{part} * kRows * kPanel;
      for (uint32_t i = 0; i < kTimes; ++i)
        if (kernels.integers)
          kernels.integers->multiply[4]({run, 1, 0}, integers.data(), kRows, sums);
        else
          kernels.multiply(
              {sums, x.data(), w.data(), kPanel, kDepth, kPanel, kRows, kDepth, kPanel});
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
    case abi::Measurement::matmul_rate:
      return matmul_rate(pool, kernels);
  }
  throw abi::Failure(abi::StatusCode::unsupported, "this measurement is not known");
}

}  // namespace ropewalk::cpu
