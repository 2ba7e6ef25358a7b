// block.h — a grid of CUDA threads on one CPU thread: each is a fiber that runs until it waits for
// its warp or its block.
//
// Where a barrier is missing, what a thread reads depends on the order of threads. So
// EMULATOR_ORDER=backward reverses that order, scattered runs neighbouring blocks far apart and
// reverses the threads of every second one, and results must not change. A copy to shared memory
// arrives as early as it may, at once, or in backward order as late as it may, when its thread
// waits for it. EMULATOR_COPIES=early or late overrides that. Not thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace ropewalk::emulator {

// Where the running thread is.
inline uint3 thread_index, block_index;
inline dim3 block_size, grid_size;

struct Shape {
  dim3 grid;
  uint32_t threads;
  uint32_t shared_bytes;  // dynamic
  bool early;             // every thread must wait for the kernel in front
};
// Runs `body` once for each thread, block after block. Ends the process with a line where the
// threads of a warp wait for different things.
void run_grid(const Shape& shape, const std::function<void()>& body);

// Dynamic shared memory of the running block: all ones when the block starts.
std::byte* shared_memory();
// The running thread waits for the kernel in front (overlap.h).
void wait_for_kernel();

// Waits until all threads of the block that have not returned are here.
void wait_for_block();

// Lets the other threads of the block run before this one polls again. Ends the process with a line
// where all of them only poll.
void poll();

// Copies 16 bytes, which are in flight until the running thread calls finish_copies() or
// finish_groups(later). The latter finishes all groups ended by close_group() but the last `later`.
void start_copy(void* to, const void* from);
void close_group();
void finish_groups(uint32_t later);
void finish_copies();

// What each lane of a warp passes to a warp-wide operation.
using Words = std::array<uint32_t, 12>;
// Waits for the warp; lane l's words are at [l] until the next call.
const Words* exchange(const Words& mine);

}  // namespace ropewalk::emulator
