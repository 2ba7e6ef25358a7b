#include "tests/cuda/emulator/bulk.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "tests/cuda/emulator/block.h"
#include "tests/cuda/emulator/streams.h"

namespace ropewalk::emulator {
namespace {

struct Copy {
  void* to;
  const void* from;
  uint32_t bytes;
};

struct BarrierState {
  uint32_t expected, arrived = 0, phase = 0;
  std::vector<Copy> copies = {};  // of this phase, under way
};

std::map<const void*, BarrierState>& barriers() {
  static std::map<const void*, BarrierState> all;
  return all;
}

[[noreturn]] void undefined(const char* what) {
  std::fprintf(stderr, "emulator: block (%u, %u, %u): %s\n", block_index.x, block_index.y,
               block_index.z, what);
  std::abort();
}

BarrierState& state_of(const void* barrier) {
  const auto found = barriers().find(barrier);
  if (found == barriers().end()) undefined("a barrier that nobody began");
  return found->second;
}

}  // namespace

void begin_barrier(const void* barrier, uint32_t arrivals) {
  if (reinterpret_cast<uintptr_t>(barrier) % 8) undefined("a barrier off a multiple of 8");
  if (!barriers().insert({barrier, {arrivals}}).second) undefined("a barrier is begun twice");
}

void start_bulk_copy(void* to, const void* from, uint32_t bytes, const void* barrier) {
  BarrierState& state = state_of(barrier);
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | bytes) % 16)
    undefined("a bulk copy off a multiple of 16");
  if (state.arrived++ == state.expected) undefined("more arrive at a barrier than it waits for");
  state.copies.push_back({to, from, bytes});
  std::memset(to, 0xff, bytes);  // what is read before it has come
  if (!copies_are_late()) std::memcpy(to, from, bytes);
}

void wait_for_phase(const void* barrier, uint32_t parity) {
  BarrierState& state = state_of(barrier);
  while (state.phase % 2 == parity) {
    if (state.arrived < state.expected) {
      poll();
      continue;
    }
    if (copies_are_late())
      for (auto copy = state.copies.rbegin(); copy != state.copies.rend(); ++copy)
        std::memcpy(copy->to, copy->from, copy->bytes);
    state.copies.clear();
    state.arrived = 0;
    ++state.phase;
  }
}

void end_barriers() {
  for (const auto& [barrier, state] : barriers())
    if (!state.copies.empty()) undefined("a thread block ends while a bulk copy is under way");
  barriers().clear();
}

}  // namespace ropewalk::emulator
