#include "tests/cuda/emulator/block.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "tests/cuda/emulator/streams.h"

namespace ropewalk::emulator {
namespace {

constexpr size_t kStackBytes = 128 << 10;
constexpr uint32_t kLanes = 32;

enum class State { fresh, ready, at_warp, at_block, done };

struct Fiber {
  std::unique_ptr<char[]> stack;
  ucontext_t start;
  jmp_buf at;
  State state;
  std::vector<std::pair<void*, const void*>> copies;  // under way
};

struct Warp {
  Words words[2][kLanes];  // in turn, so that one barrier an operation is enough
  uint32_t turn = 0;
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  uint32_t running = 0;
  jmp_buf scheduler;
  const std::function<void()>* body = nullptr;
  bool backward = false;
};

Block& block() {
  static Block all;
  return all;
}

void leave(State state) {
  Fiber& fiber = block().fibers[block().running];
  fiber.state = state;
  if (_setjmp(fiber.at) == 0) _longjmp(block().scheduler, 1);
}

// A fiber goes on as the thread of the same number of the next block: making one anew asks the
// kernel twice, which takes longer than most threads.
void run_fiber() {
  for (;;) {
    (*block().body)();
    if (!block().fibers[block().running].copies.empty()) {
      std::fprintf(stderr, "emulator: a thread ends while a copy of it is under way\n");
      std::abort();
    }
    leave(State::done);
  }
}

void resume(uint32_t i) {
  Block& b = block();
  Fiber& fiber = b.fibers[i];
  b.running = i;
  thread_index.x = i;
  if (_setjmp(b.scheduler)) return;
  if (fiber.state == State::ready) _longjmp(fiber.at, 1);
  setcontext(&fiber.start);
}

void prepare(Fiber& fiber) {
  fiber.state = State::ready;
  if (fiber.stack) return;
  fiber.stack = std::make_unique<char[]>(kStackBytes);
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = fiber.stack.get();
  fiber.start.uc_stack.ss_size = kStackBytes;
  fiber.start.uc_link = nullptr;
  makecontext(&fiber.start, run_fiber, 0);
  fiber.state = State::fresh;
}

[[noreturn]] void diverged(uint32_t warp) {
  std::fprintf(stderr,
               "emulator: block (%u, %u, %u), warp %u: some lanes are at a warp-wide operation "
               "that the others do not reach\n",
               block_index.x, block_index.y, block_index.z, warp);
  std::abort();
}

// Until every lane waits for the block or has returned.
void run_warp(uint32_t warp) {
  Block& b = block();
  for (;;) {
    uint32_t at_warp = 0;
    for (uint32_t n = 0; n < kLanes; ++n) {
      const uint32_t i = warp * kLanes + (b.backward ? kLanes - 1 - n : n);
      Fiber& fiber = b.fibers[i];
      if (fiber.state == State::fresh || fiber.state == State::ready) resume(i);
      at_warp += fiber.state == State::at_warp;
    }
    if (at_warp == 0) return;
    if (at_warp < kLanes) diverged(warp);
    b.warps[warp].turn ^= 1;
    for (uint32_t n = 0; n < kLanes; ++n) b.fibers[warp * kLanes + n].state = State::ready;
  }
}

void run_block(uint32_t threads) {
  Block& b = block();
  for (uint32_t i = 0; i < threads; ++i) prepare(b.fibers[i]);
  for (bool waiting = true; waiting;) {
    const uint32_t warps = threads / kLanes;
    for (uint32_t w = 0; w < warps; ++w) run_warp(b.backward ? warps - 1 - w : w);
    waiting = false;
    for (uint32_t i = 0; i < threads; ++i) {
      if (b.fibers[i].state != State::at_block) continue;
      b.fibers[i].state = State::ready;
      waiting = true;
    }
  }
}

}  // namespace

void run_grid(dim3 grid, uint32_t threads, const std::function<void()>& body) {
  Block& b = block();
  if (threads % kLanes) {
    std::fprintf(stderr, "emulator: %u threads are not whole warps\n", threads);
    std::abort();
  }
  if (b.fibers.size() < threads) {
    b.fibers.resize(threads);
    b.warps.resize(threads / kLanes);
  }
  b.backward = is_backward();
  b.body = &body;
  block_size = dim3(threads);
  grid_size = grid;
  const uint32_t blocks = grid.x * grid.y * grid.z;
  for (uint32_t n = 0; n < blocks; ++n) {
    const uint32_t i = b.backward ? blocks - 1 - n : n;
    block_index = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
    run_block(threads);
  }
}

void start_copy(void* to, const void* from) {
  if (block().backward)
    block().fibers[block().running].copies.push_back({to, from});
  else
    std::memcpy(to, from, 16);
}

void finish_copies() {
  auto& copies = block().fibers[block().running].copies;
  for (const auto& [to, from] : copies) std::memcpy(to, from, 16);
  copies.clear();
}

void wait_for_block() { leave(State::at_block); }

const Words* exchange(const Words& mine) {
  Block& b = block();
  Warp& warp = b.warps[b.running / kLanes];
  Words* words = warp.words[warp.turn];
  words[b.running % kLanes] = mine;
  leave(State::at_warp);
  return words;
}

}  // namespace ropewalk::emulator
