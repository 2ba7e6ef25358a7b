// buckets.h — the shapes that programs are compiled for: a step runs in the narrowest that holds
// it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/abi/backend.h"

namespace ropewalk {

inline constexpr uint32_t kBuckets[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

// The narrowest bucket that holds `count`, which may be 0. REQUIRES: count <= 512.
uint32_t bucket_for(uint32_t count);

// The shape of a step's program. REQUIRES: the counts are within `widest`.
abi::ProgramShape shape_for(uint32_t rows, uint32_t wanted, uint32_t sequences,
                            const abi::ProgramShape& widest);

// Every shape that shape_for() can answer; a step has no more sequences than rows.
std::vector<abi::ProgramShape> shapes_within(const abi::ProgramShape& widest);

}  // namespace ropewalk
