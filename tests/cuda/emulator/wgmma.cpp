#include "tests/cuda/emulator/wgmma.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/cuda/emulator/block.h"
#include "tests/cuda/emulator/streams.h"
#include "tests/cuda/emulator/words.h"

namespace ropewalk::emulator {
namespace {

constexpr uint32_t kTiles = 16, kDepth = 16, kMaxThreads = 1024;
using Sums = std::array<std::array<float, 4>, kTiles>;

// A product under way, with what a lane needs of its warp.
struct Started {
  WarpgroupProduct product;
  uint32_t group;
  bool hides;                                     // the sums, until it is waited for
  Sums before;                                    // where it hides them
  std::array<std::array<uint32_t, 4>, 32> lanes;  // the warp's registers of a
};
struct Thread {
  std::vector<Started> products;
  uint32_t group = 0;  // that is not committed yet
};

Thread& thread() {
  static std::vector<Thread> all(kMaxThreads);
  return all[thread_index.x];
}

[[noreturn]] void undefined_product(const char* what) {
  std::fprintf(stderr, "emulator: block (%u, %u, %u), thread %u: %s\n", block_index.x,
               block_index.y, block_index.z, thread_index.x, what);
  std::abort();
}

// The fields of a descriptor, in bytes (PTX manual, matrix descriptor format).
struct Matrix {
  uint64_t start, leading, stride;

  explicit Matrix(uint64_t descriptor)
      : start((descriptor & 0x3fff) << 4),
        leading((descriptor >> 16 & 0x3fff) << 4),
        stride((descriptor >> 32 & 0x3fff) << 4) {
    if (descriptor >> 62 != 1) undefined_product("a descriptor without the swizzle of 128 bytes");
    if (descriptor >> 49 & 7) undefined_product("a descriptor with a base offset");
  }
  // Bits 4 to 6 of an address are exchanged by bits 7 to 9.
  static float at(uint64_t linear) {
    uint16_t half = 0;
    std::memcpy(&half, shared_memory() + (linear ^ (linear >> 7 & 7) << 4), 2);
    return half_value(half);
  }
  // K along the rows of 128 bytes: `row` of M or N.
  float along(uint32_t row, uint32_t k) const {
    return at(start + row / 8 * stride + row % 8 * 128 + k * 2);
  }
  // Rows of K, each of 64 elements of N, then the next 64.
  float across(uint32_t k, uint32_t column) const {
    return at(start + column / 64 * leading + column % 64 * 2 + k / 8 * stride + k % 8 * 128);
  }
};

float half_of(uint32_t pair, uint32_t which) {
  return half_value(static_cast<uint16_t>(pair >> which * 16));
}

void compute(const Started& started) {
  const WarpgroupProduct& p = started.product;
  const uint32_t lane = thread_index.x % 32, warp = thread_index.x % 128 / 32;
  double a[2][kDepth];
  for (uint32_t half = 0; half < 2; ++half)
    for (uint32_t k = 0; k < kDepth; ++k) {
      const uint32_t row = lane / 4 + 8 * half;
      a[half][k] = static_cast<double>(
          p.a_registers ? half_of(started.lanes[row % 8 * 4 + k % 8 / 2][half + k / 8 * 2], k % 2)
                        : Matrix(p.a_descriptor).along(warp * 16 + row, k));
    }
  const Matrix b(p.b_descriptor);
  for (uint32_t n = 0; n < kTiles; ++n)
    for (uint32_t which = 0; which < 2; ++which) {
      const uint32_t column = n * 8 + lane % 4 * 2 + which;
      double total[2] = {p.add ? static_cast<double>(p.sum[n][which]) : 0,
                         p.add ? static_cast<double>(p.sum[n][2 + which]) : 0};
      for (uint32_t k = 0; k < kDepth; ++k) {
        const auto right =
            static_cast<double>(p.b_across ? b.across(k, column) : b.along(column, k));
        for (uint32_t half = 0; half < 2; ++half) total[half] += a[half][k] * right;
      }
      for (uint32_t half = 0; half < 2; ++half)
        p.sum[n][2 * half + which] = static_cast<float>(total[half]);
    }
}

}  // namespace

void start_product(const WarpgroupProduct& product) {
  Started started{product, thread().group, false, {}, {}};
  const Words* all =
      exchange(product.a_registers ? Words{(*product.a_registers)[0], (*product.a_registers)[1],
                                           (*product.a_registers)[2], (*product.a_registers)[3]}
                                   : Words{});
  for (uint32_t lane = 0; lane < 32; ++lane)
    started.lanes[lane] = {all[lane][0], all[lane][1], all[lane][2], all[lane][3]};
  // hide the sums, once for all products under way that add to them
  bool hidden = false;
  for (const Started& each : thread().products) hidden |= each.product.sum == product.sum;
  started.hides = copies_are_late() && !hidden;
  if (started.hides) {
    std::memcpy(&started.before, product.sum, sizeof(Sums));
    for (uint32_t n = 0; n < kTiles; ++n)
      for (uint32_t i = 0; i < 4; ++i) product.sum[n][i] = NAN;
  }
  if (!copies_are_late()) compute(started);
  thread().products.push_back(started);
}

void commit_products() { ++thread().group; }

void wait_for_products(uint32_t later) {
  Thread& mine = thread();
  if (!mine.products.empty() && mine.products.back().group == mine.group)
    undefined_product("a product that is waited for was not committed");
  std::vector<Started> left;
  for (const Started& each : mine.products) {
    if (each.group + later >= mine.group) {
      left.push_back(each);
      continue;
    }
    if (!copies_are_late()) continue;
    if (each.hides) std::memcpy(each.product.sum, &each.before, sizeof(Sums));
    compute(each);
  }
  mine.products = std::move(left);
  exchange({});  // all lanes of a warp wait together
}

}  // namespace ropewalk::emulator
