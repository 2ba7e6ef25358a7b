#include "core/exec/buckets.h"

#include <algorithm>

namespace ropewalk {
namespace {

// 1, 2, 4, ... and `most` itself.
std::vector<uint32_t> sizes_within(uint32_t most) {
  std::vector<uint32_t> sizes;
  for (const uint32_t bucket : kBuckets) {
    sizes.push_back(std::min(bucket, most));
    if (bucket >= most) break;
  }
  return sizes;
}

}  // namespace

uint32_t bucket_for(uint32_t count) {
  return *std::lower_bound(std::begin(kBuckets), std::end(kBuckets), std::max(count, 1u));
}

abi::ProgramShape shape_for(uint32_t rows, uint32_t wanted, uint32_t sequences,
                            const abi::ProgramShape& widest) {
  abi::ProgramShape shape = widest;
  shape.rows = std::min(bucket_for(rows), widest.rows);
  shape.wanted = std::min(bucket_for(wanted), widest.wanted);
  shape.sequences = std::min(bucket_for(sequences), widest.sequences);
  return shape;
}

std::vector<abi::ProgramShape> shapes_within(const abi::ProgramShape& widest) {
  std::vector<abi::ProgramShape> shapes;
  for (const uint32_t rows : sizes_within(widest.rows)) {
    for (const uint32_t wanted : sizes_within(std::min(widest.wanted, rows))) {
      for (const uint32_t sequences : sizes_within(std::min(widest.sequences, rows))) {
        shapes.push_back(shape_for(rows, wanted, sequences, widest));
      }
    }
  }
  return shapes;
}

}  // namespace ropewalk
