// block.h — a grid of CUDA threads on one CPU thread: each is a fiber that runs until it waits for
// its warp or its block.
//
// A thread that reads what another has not written yet, for want of a barrier, reads what the
// order of threads makes of it: EMULATOR_ORDER=backward turns that order round, and results must
// not change. A copy to shared memory arrives as early as it may, or backward as late: at once or
// when its thread waits for it. Not thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <functional>

namespace ropewalk::emulator {

// Where the running thread is.
inline uint3 thread_index, block_index;
inline dim3 block_size, grid_size;

// Runs `body` once a thread, block after block. Ends the process with a line where the threads of a
// warp wait for different things.
void run_grid(dim3 grid, uint32_t threads, const std::function<void()>& body);

// Waits until all threads of the block that have not returned are here.
void wait_for_block();

// 16 bytes, under way until the running thread says finish_copies().
void start_copy(void* to, const void* from);
void finish_copies();

// What each lane of a warp brings to a warp-wide operation.
using Words = std::array<uint32_t, 8>;
// Waits for the warp; lane l's words are at [l] until the next call.
const Words* exchange(const Words& mine);

}  // namespace ropewalk::emulator
