// wgmma_layout.h — how the products of wgmma.cuh find their operands in shared memory: the 128-byte
// swizzle and the matrix descriptor, as functions of indices. Stateless.
//
// An operand consists of panels, each with 64 f16 of every row: 128 bytes. The eight chunks of 16
// bytes of a row change their places with the row, so that a chunk of 8 rows meets no bank twice:
//
//            place 0 1 2 3 4 5 6 7
//   row 0          0 1 2 3 4 5 6 7      chunk c of row r is at place c ^ r % 8
//   row 1          1 0 3 2 5 4 7 6
//   row 2          2 3 0 1 6 7 4 5      8 rows are an atom of 1024 bytes; panels begin at multiples
//   ..                                  of that
//
// Descriptor, with offsets and address in units of 16 bytes:
//
//   | 63 62   | 61 .. 52 | 51 .. 49 | 48 46 | 45 .. 32 | 31 30 | 29 .. 16 | 15 14 | 13 .. 0 |
//     1: 128 B             0: atoms           stride             leading            address
//                          are aligned
//
//                       rows of the panel are   stride                leading
//   K along the rows    M or N                  M or N: the next 8    not used
//   K across the rows   K                       K: the next 8         M or N: the next 64, a panel
//
// PTX manual, "Asynchronous warpgroup level matrix shared memory layout"; CUTLASS,
// cute/arch/mma_sm90_desc.hpp.
#pragma once

#include <cstdint>

#include "backends/cuda/kernel/host_device.h"

namespace ropewalk::cuda {

inline constexpr uint32_t kPanelColumns = 64, kPanelRowBytes = 128, kAtomBytes = 1024;

// Offset in bytes of an element of a panel.
RW_HOST_DEVICE uint32_t panel_offset(uint32_t row, uint32_t column) {
  return row * kPanelRowBytes + ((column / 8 ^ row % 8) * 16 + column % 8 * 2);
}

RW_HOST_DEVICE uint64_t matrix_descriptor(uint32_t address, uint32_t leading, uint32_t stride) {
  const auto field = [](uint32_t bytes) { return uint64_t{bytes >> 4 & 0x3fffu}; };
  return uint64_t{1} << 62 | field(stride) << 32 | field(leading) << 16 | field(address);
}

// Step k (16 of K) of an operand whose panels, each of `panel_bytes`, begin at `address`.
RW_HOST_DEVICE uint64_t along_rows(uint32_t address, uint32_t panel_bytes, uint32_t k) {
  return matrix_descriptor(address + k / 4 * panel_bytes + k % 4 * 32, 16, kAtomBytes);
}
RW_HOST_DEVICE uint64_t across_rows(uint32_t address, uint32_t panel_bytes, uint32_t k) {
  return matrix_descriptor(address + k * 2 * kAtomBytes, panel_bytes, kAtomBytes);
}

}  // namespace ropewalk::cuda
