// wgmma.h — products that a warpgroup starts and waits for (wgmma.mma_async), as
// backends/cuda/kernel/wgmma.cuh uses them, with operands from registers or from the descriptors.
//
// A product is computed when it is started or, where copies are late, when its thread waits for it;
// until then its sums are NaN. Behaviour that the PTX manual leaves undefined ends the process with
// a line. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace ropewalk::emulator {

// sum (64, 128) += a (64, 16) . b (16, 128), of the running thread's warp.
struct WarpgroupProduct {
  float (*sum)[4];                                     // [16][4] of this thread
  bool add;                                            // false: the sum begins with 0
  std::optional<std::array<uint32_t, 4>> a_registers;  // else by a_descriptor
  uint64_t a_descriptor, b_descriptor;
  bool b_across;  // the rows in shared memory are rows of b, not its columns
};
void start_product(const WarpgroupProduct& product);
void commit_products();
void wait_for_products(uint32_t later);

}  // namespace ropewalk::emulator
