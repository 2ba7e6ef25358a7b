// overlap.h — kernels that start early, while those in front of them still run (programmatic
// dependent launch; backends/cuda/kernel/async.cuh).
//
// EMULATOR_ORDER=overlapped: until a thread block of such a kernel has waited, what the kernels in
// front of it have written is not there yet. Each word that they changed reads as all ones, NaN in
// every float type. The thread block may write no device memory meanwhile. All of its threads wait
// before the first of them goes on, so this order does not show a missing barrier between the two
// parts; the other orders do. Copies read when they are requested. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace ropewalk::emulator {

bool is_overlapped();

// Device memory: address and bytes of each allocation.
using DeviceMemory = std::map<void*, size_t>;

// Around each kernel.
void begin_kernel(const DeviceMemory& memory, uint64_t stream, bool early);
void end_kernel();
// Device memory has changed by something else than a kernel.
void note_change();
// An operation of the stream that is no kernel: it waits for all in front of it.
void end_overlap(uint64_t stream);

// Hides from a thread block what the kernels in front have written. Returns whether they have.
bool hide_writes();
// Shows it again. Returns whether the thread block has left device memory as it was.
bool show_writes();

}  // namespace ropewalk::emulator
