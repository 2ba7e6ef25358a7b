// block.h — a grid of CUDA threads on one CPU thread: each is a fiber that runs until it waits for
// its warp or its block.
//
// A thread that reads what another has not written yet, for want of a barrier, reads what the
// order of threads makes of it: EMULATOR_ORDER=backward turns that order round, and results must
// not change. A copy to shared memory arrives as early as it may, or backward as late: at once or
// when its thread waits for it; EMULATOR_COPIES=early or late says so whatever the order. Not
// thread-safe.
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
  bool early;             // every thread must wait for the kernel before
};
// Runs `body` once a thread, block after block. Ends the process with a line where the threads of a
// warp wait for different things.
void run_grid(const Shape& shape, const std::function<void()>& body);

// Dynamic shared memory of the running block: all ones when it begins.
std::byte* shared_memory();
// The running thread has waited for the kernel before.
void note_wait();

// Waits until all threads of the block that have not returned are here.
void wait_for_block();

// Lets the other threads of the block run before this one asks again. Ends the process with a line
// where all of them only ask.
void poll();

// 16 bytes, under way until the running thread calls finish_copies(), or finish_groups(later): that
// one finishes all groups ended by close_group() but the last `later`.
void start_copy(void* to, const void* from);
void close_group();
void finish_groups(uint32_t later);
void finish_copies();

// What each lane of a warp brings to a warp-wide operation.
using Words = std::array<uint32_t, 8>;
// Waits for the warp; lane l's words are at [l] until the next call.
const Words* exchange(const Words& mine);

}  // namespace ropewalk::emulator
