#include "tests/cuda/emulator/bulk.h"

#include <array>
#include <bit>
#include <cstddef>
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
  uint64_t expected_bytes = 0, bytes = 0;
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

// A map as tensor_map_of() below makes it.
cuda::MatrixInMemory matrix_of(const cuda::TensorMap& map) {
  const auto column_count = static_cast<uint32_t>(map.words[2] >> 32);
  return {std::bit_cast<const void*>(map.words[0]), map.words[1], column_count,
          static_cast<uint32_t>(map.words[2])};
}

BarrierState& state_of(const void* barrier) {
  const auto found = barriers().find(barrier);
  if (found == barriers().end()) undefined("a barrier that nobody began");
  return found->second;
}

void start(BarrierState& state, const Copy& copy) {
  state.bytes += copy.bytes;
  state.copies.push_back(copy);
  std::memset(copy.to, 0xff, copy.bytes);  // what is read before it has come
  if (!copies_are_late()) std::memcpy(copy.to, copy.from, copy.bytes);
}

}  // namespace

void begin_barrier(const void* barrier, uint32_t arrivals) {
  if (reinterpret_cast<uintptr_t>(barrier) % 8) undefined("a barrier off a multiple of 8");
  if (!barriers().insert({barrier, {arrivals}}).second) undefined("a barrier is begun twice");
}

void arrive(const void* barrier) {
  BarrierState& state = state_of(barrier);
  if (state.arrived++ == state.expected) undefined("more arrive at a barrier than it waits for");
}

void expect_bytes(const void* barrier, uint32_t bytes) {
  arrive(barrier);
  state_of(barrier).expected_bytes += bytes;
}

void start_part(void* to, const void* from, uint32_t bytes, const void* barrier) {
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | bytes) % 16)
    undefined("a bulk copy off a multiple of 16");
  start(state_of(barrier), {to, from, bytes});
}

void prefetch(const void* from, uint32_t bytes) {
  if ((reinterpret_cast<uintptr_t>(from) | bytes) % 16)
    undefined("a bulk prefetch off a multiple of 16");
  if (!is_device_memory(from, bytes)) undefined("a bulk prefetch outside of device memory");
}

void start_box(void* to, const cuda::TensorMap& map, uint32_t row, uint32_t column,
               const void* barrier) {
  BarrierState& state = state_of(barrier);
  const cuda::MatrixInMemory matrix = matrix_of(map);
  const auto at = static_cast<uint64_t>(static_cast<std::byte*>(to) - shared_memory());
  if (at % 1024) undefined("a box off a multiple of 1024");
  if (row >= matrix.rows || column >= matrix.columns) undefined("a box outside of its matrix");
  static const std::array<std::byte, 16> zeros = {};
  for (uint32_t r = 0; r < matrix.box_rows; ++r)
    for (uint32_t chunk = 0; chunk < 8; ++chunk) {
      // address bits 4 to 6 are exchanged by bits 7 to 9
      const uint64_t linear = at + r * 128 + chunk * 16;
      const bool inside = row + r < matrix.rows && column + chunk * 8 < matrix.columns;
      const auto* from = static_cast<const std::byte*>(matrix.data) +
                         ((row + uint64_t{r}) * matrix.columns + column) * 2 + chunk * 16;
      start(state, {shared_memory() + (linear ^ (linear >> 7 & 7) << 4),
                    inside ? from : zeros.data(), 16});
    }
}

void wait_for_phase(const void* barrier, uint32_t parity) {
  BarrierState& state = state_of(barrier);
  while (state.phase % 2 == parity) {
    if (state.arrived < state.expected || state.bytes < state.expected_bytes) {
      poll();
      continue;
    }
    if (copies_are_late())
      for (auto copy = state.copies.rbegin(); copy != state.copies.rend(); ++copy)
        std::memcpy(copy->to, copy->from, copy->bytes);
    if (state.bytes > state.expected_bytes) undefined("more bytes arrive than a barrier expects");
    state.copies.clear();
    state.arrived = 0;
    state.bytes = state.expected_bytes = 0;
    ++state.phase;
  }
}

void end_barriers() {
  for (const auto& [barrier, state] : barriers())
    if (!state.copies.empty()) undefined("a thread block ends while a bulk copy is under way");
  barriers().clear();
}

}  // namespace ropewalk::emulator

namespace ropewalk::cuda {

TensorMap tensor_map_of(const MatrixInMemory& matrix) {
  return {{std::bit_cast<uint64_t>(matrix.data), matrix.rows,
           uint64_t{matrix.columns} << 32 | matrix.box_rows}};
}

}  // namespace ropewalk::cuda
