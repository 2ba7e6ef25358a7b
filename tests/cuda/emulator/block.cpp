#include "tests/cuda/emulator/block.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/cuda/emulator/bulk.h"
#include "tests/cuda/emulator/overlap.h"
#include "tests/cuda/emulator/streams.h"

namespace ropewalk::emulator {
namespace {

constexpr size_t kStackBytes = 128 << 10;
constexpr uint32_t kLanes = 32;
// Max of a block; runtime.cpp reports no more.
constexpr uint32_t kMaxSharedBytes = 227 << 10;

enum class State { fresh, ready, polling, at_warp, at_block, at_wait, done };

using Copies = std::vector<std::pair<void*, const void*>>;

struct Fiber {
  std::unique_ptr<char[]> stack;
  ucontext_t start;
  jmp_buf at;
  State state;
  std::vector<Copies> groups{1};  // of copies in flight, the last is not closed
  bool waited = false;            // for the kernel in front
};

struct Warp {
  Words words[2][kLanes];  // used alternately, so that one barrier an operation is enough
  uint32_t current = 0;
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Warp> warps;
  uint32_t running = 0;
  jmp_buf scheduler;
  const std::function<void()>* body = nullptr;
  bool backward = false, late = false, early = false;
  std::byte* shared = nullptr;
  uint32_t shared_bytes = 0;
  bool progress = false;  // some thread did more than poll
  bool hides = false;     // what the kernels in front have written
};

Block& block() {
  static Block all;
  return all;
}

[[noreturn]] void stop(const char* why) {
  std::fprintf(stderr, "emulator: block (%u, %u, %u): %s\n", block_index.x, block_index.y,
               block_index.z, why);
  std::abort();
}

void leave(State state) {
  Fiber& fiber = block().fibers[block().running];
  fiber.state = state;
  if (_setjmp(fiber.at) == 0) _longjmp(block().scheduler, 1);
}

// A fiber continues as the thread with the same index of the next block: creating a fiber takes two
// system calls, which is longer than most threads run.
void run_fiber() {
  for (;;) {
    (*block().body)();
    Fiber& fiber = block().fibers[block().running];
    for (const Copies& group : fiber.groups)
      if (!group.empty()) stop("a thread ends while one of its copies is in flight");
    fiber.groups.resize(1);
    if (block().early && !fiber.waited)
      stop("a thread of a kernel that starts early ends without waiting for the kernel in front");
    leave(State::done);
  }
}

void resume(uint32_t i) {
  Block& b = block();
  Fiber& fiber = b.fibers[i];
  b.running = i;
  thread_index.x = i;
  if (_setjmp(b.scheduler)) {
    if (b.fibers[b.running].state != State::polling) b.progress = true;
    return;
  }
  if (fiber.state != State::fresh) _longjmp(fiber.at, 1);
  setcontext(&fiber.start);
}

void prepare(Fiber& fiber) {
  fiber.state = State::ready;
  fiber.waited = false;
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

bool may_run(State state) {
  return state == State::fresh || state == State::ready || state == State::polling;
}

// Runs until every lane waits for more than its warp or has returned, or until some only poll.
void run_warp(uint32_t warp) {
  Block& b = block();
  for (;;) {
    uint32_t at_warp = 0, elsewhere = 0;  // those that only poll, or wait for the kernel in front
    for (uint32_t n = 0; n < kLanes; ++n) {
      const uint32_t i = warp * kLanes + (b.backward ? kLanes - 1 - n : n);
      Fiber& fiber = b.fibers[i];
      if (may_run(fiber.state)) resume(i);
      at_warp += fiber.state == State::at_warp;
      elsewhere += fiber.state == State::polling || fiber.state == State::at_wait;
    }
    if (at_warp == 0 || elsewhere > 0) return;
    if (at_warp < kLanes) diverged(warp);
    b.warps[warp].current ^= 1;
    for (uint32_t n = 0; n < kLanes; ++n) b.fibers[warp * kLanes + n].state = State::ready;
  }
}

// Lets the threads that are in a state go on.
void let_go(uint32_t threads, State state) {
  for (uint32_t i = 0; i < threads; ++i) {
    Fiber& fiber = block().fibers[i];
    if (fiber.state == state) fiber.state = State::ready;
  }
}

// All threads have come as far as they can before the kernel in front has ended.
void end_wait(uint32_t threads) {
  block().hides = false;
  if (!show_writes()) stop("a thread writes before it has waited for the kernel in front");
  let_go(threads, State::at_wait);
}

void run_block(uint32_t threads) {
  Block& b = block();
  b.hides = hide_writes();
  for (uint32_t i = 0; i < threads; ++i) prepare(b.fibers[i]);
  std::memset(b.shared, 0xff, b.shared_bytes);
  for (;;) {
    b.progress = false;
    const uint32_t warps = threads / kLanes;
    for (uint32_t w = 0; w < warps; ++w) run_warp(b.backward ? warps - 1 - w : w);
    const auto any = [&](State state) {
      return std::any_of(b.fibers.begin(), b.fibers.begin() + threads,
                         [=](const Fiber& fiber) { return fiber.state == state; });
    };
    const bool polling = any(State::polling), at_block = any(State::at_block);
    if (polling && b.progress) continue;
    if (any(State::at_wait)) {
      end_wait(threads);
      continue;
    }
    if (polling) stop("threads wait for a barrier where nobody arrives");
    if (!at_block) break;
    let_go(threads, State::at_block);
  }
  end_barriers();
}

// The n-th block in an order in which neighbours are far apart.
uint32_t scattered(uint32_t n, uint32_t blocks) {
  uint32_t stride = blocks * 5 / 8 | 1;
  while (std::gcd(stride, blocks) != 1) ++stride;
  return static_cast<uint32_t>((uint64_t{n} * stride + blocks / 2) % blocks);
}

}  // namespace

void run_grid(const Shape& shape, const std::function<void()>& body) {
  Block& b = block();
  const uint32_t threads = shape.threads;
  const dim3& grid = shape.grid;
  if (threads % kLanes) {
    std::fprintf(stderr, "emulator: %u threads are not whole warps\n", threads);
    std::abort();
  }
  if (b.fibers.size() < threads) {
    b.fibers.resize(threads);
    b.warps.resize(threads / kLanes);
  }
  b.late = copies_are_late();
  b.early = shape.early;
  b.body = &body;
  if (!b.shared) b.shared = static_cast<std::byte*>(std::aligned_alloc(1024, kMaxSharedBytes));
  b.shared_bytes = shape.shared_bytes;
  block_size = dim3(threads);
  grid_size = grid;
  const uint32_t blocks = grid.x * grid.y * grid.z;
  const bool backward = is_backward(), apart = is_scattered();
  for (uint32_t n = 0; n < blocks; ++n) {
    b.backward = backward || (apart && n % 2 == 1);
    const uint32_t i = apart ? scattered(n, blocks) : backward ? blocks - 1 - n : n;
    block_index = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
    run_block(threads);
  }
}

std::byte* shared_memory() { return block().shared; }
void wait_for_kernel() {
  block().fibers[block().running].waited = true;
  if (block().hides) leave(State::at_wait);
}

void start_copy(void* to, const void* from) {
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % 16)
    stop("a copy of 16 bytes off a multiple of 16");
  if (block().late)
    block().fibers[block().running].groups.back().push_back({to, from});
  else
    std::memcpy(to, from, 16);
}

void close_group() { block().fibers[block().running].groups.emplace_back(); }

void finish_groups(uint32_t later) {
  std::vector<Copies>& groups = block().fibers[block().running].groups;
  while (groups.size() > later + size_t{1}) {
    for (const auto& [to, from] : groups.front()) std::memcpy(to, from, 16);
    groups.erase(groups.begin());
  }
}

void finish_copies() {
  close_group();
  finish_groups(0);
}

void wait_for_block() { leave(State::at_block); }
void poll() { leave(State::polling); }

const Words* exchange(const Words& mine) {
  Block& b = block();
  Warp& warp = b.warps[b.running / kLanes];
  Words* words = warp.words[warp.current];
  words[b.running % kLanes] = mine;
  leave(State::at_warp);
  return words;
}

}  // namespace ropewalk::emulator
