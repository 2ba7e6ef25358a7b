// buckets.h — the shapes that programs are compiled for: a step runs in the narrowest that fits.
//
// A program takes time to compile and memory to record, so there are few: at most 31, whatever the
// widest shape is. Rows decide the kernels, so there is a bucket for each power of two. All
// programs take the max number of sequences, which only sizes their inputs. Wanted rows are one (a
// prompt, a single reply), some (replies beside a prompt) or the maximum (a batch of replies, a
// text to be scored).
#pragma once

#include <cstdint>
#include <vector>

#include "core/abi/backend.h"

namespace ropewalk {

inline constexpr uint32_t kBuckets[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};
inline constexpr uint32_t kSomeWanted = 8;

// The narrowest bucket that holds `count`, which may be 0. REQUIRES: count <= 2048.
uint32_t bucket_for(uint32_t count);

// The shape of a step's program. REQUIRES: the counts are within `widest`, wanted <= rows.
abi::ProgramShape shape_for(uint32_t rows, uint32_t wanted, const abi::ProgramShape& widest);

// Every shape that shape_for() can answer.
std::vector<abi::ProgramShape> shapes_within(const abi::ProgramShape& widest);

}  // namespace ropewalk
