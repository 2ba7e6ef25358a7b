#include "core/exec/buckets.h"

#include <algorithm>

namespace ropewalk {

uint32_t bucket_for(uint32_t count) {
  return *std::lower_bound(std::begin(kBuckets), std::end(kBuckets), std::max(count, 1u));
}

abi::ProgramShape shape_for(uint32_t rows, uint32_t wanted, const abi::ProgramShape& widest) {
  abi::ProgramShape shape = widest;
  shape.rows = std::min(bucket_for(rows), widest.rows);
  const uint32_t all = std::min(shape.rows, widest.wanted);
  shape.wanted = wanted <= 1 ? 1 : std::min(wanted <= kSomeWanted ? kSomeWanted : all, all);
  return shape;
}

std::vector<abi::ProgramShape> shapes_within(const abi::ProgramShape& widest) {
  std::vector<abi::ProgramShape> shapes;
  for (const uint32_t bucket : kBuckets) {
    const uint32_t rows = std::min(bucket, widest.rows);
    uint32_t last = 0;
    for (const uint32_t wanted : {1u, kSomeWanted, std::min(rows, widest.wanted)}) {
      const abi::ProgramShape shape =
          shape_for(rows, std::min({wanted, rows, widest.wanted}), widest);
      if (shape.wanted > last) shapes.push_back(shape);
      last = shape.wanted;
    }
    if (bucket >= widest.rows) break;
  }
  return shapes;
}

}  // namespace ropewalk
