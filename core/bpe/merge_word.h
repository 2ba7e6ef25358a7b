// merge_word.h — merges the tokens of one word, lowest rank first, of equals the leftmost.
#pragma once

#include <cstdint>
#include <vector>

#include "core/bpe/hash_tables.h"

namespace ropewalk {

// Changes `symbols` from `first` on in place and shortens it. Time is n log n in their number.
void merge_word(const MergeTable& merges, std::vector<int32_t>& symbols, size_t first);

}  // namespace ropewalk
