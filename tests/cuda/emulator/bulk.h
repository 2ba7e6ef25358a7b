// bulk.h — barriers in shared memory (mbarrier) and the bulk copies that they count
// (cp.async.bulk), as backends/cuda/kernel/bulk.cuh uses them.
//
// A copy arrives at once, or late (EMULATOR_ORDER=backward, or EMULATOR_COPIES=late): when a thread
// waits for its phase, the last copy first. Until then its target is all ones. Behaviour that the
// PTX manual leaves undefined ends the process with a line. Not thread-safe.
#pragma once

#include <cstdint>

namespace ropewalk::emulator {

// `barrier` is its address.
void begin_barrier(const void* barrier, uint32_t arrivals);
// Arrives at the barrier, whose phase does not end before all bytes have arrived.
void start_bulk_copy(void* to, const void* from, uint32_t bytes, const void* barrier);
// Waits until the phase of this parity has ended.
void wait_for_phase(const void* barrier, uint32_t parity);
// The thread block has ended, and its barriers with it.
void end_barriers();

}  // namespace ropewalk::emulator
