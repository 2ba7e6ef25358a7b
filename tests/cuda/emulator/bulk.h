// bulk.h — barriers in shared memory (mbarrier) and the bulk copies that they count
// (cp.async.bulk), as backends/cuda/kernel/bulk.cuh uses them.
//
// A copy arrives at once, or late (EMULATOR_ORDER=backward, or EMULATOR_COPIES=late): when a thread
// waits for its phase, the last copy first. Until then its target is all ones. Behaviour that the
// PTX manual leaves undefined ends the process with a line. Not thread-safe.
#pragma once

#include <cstdint>

#include "backends/cuda/kernel/tensor_map.h"

namespace ropewalk::emulator {

// `barrier` is its address.
void begin_barrier(const void* barrier, uint32_t arrivals);
void arrive(const void* barrier);
// Arrives at the barrier, whose phase does not end before so many more bytes have arrived.
void expect_bytes(const void* barrier, uint32_t bytes);
void start_part(void* to, const void* from, uint32_t bytes, const void* barrier);
// Must lie in device memory. Does nothing more.
void prefetch(const void* from, uint32_t bytes);
bool is_device_memory(const void* from, uint64_t bytes);  // runtime.cpp
// Copies the box whose first element is (row, column), swizzled by 128 bytes.
void start_box(void* to, const cuda::TensorMap& map, uint32_t row, uint32_t column,
               const void* barrier);
// Waits until the phase of this parity has ended.
void wait_for_phase(const void* barrier, uint32_t parity);
// The thread block has ended, and its barriers with it.
void end_barriers();

}  // namespace ropewalk::emulator
