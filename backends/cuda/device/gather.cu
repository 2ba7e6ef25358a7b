// to[n][k] = from[column_order[n]][row_order[k]]. Grid (cols), a block a column.
// Runs only while a model is loaded.
#include "backends/cuda/device/gather.h"
#include "backends/cuda/kernel/launch.cuh"

namespace ropewalk::cuda {
namespace {

template <class Element>
__global__ void gather_kernel(const Gather op, Element* to) {
  const uint32_t n = blockIdx.x, column = op.column_order ? op.column_order[n] : n;
  const Element* from = reinterpret_cast<const Element*>(op.from) + uint64_t{column} * op.rows;
  for (uint32_t k = threadIdx.x; k < op.rows; k += blockDim.x)
    to[uint64_t{n} * op.rows + k] = from[op.row_order ? op.row_order[k] : k];
}

}  // namespace

void gather(const Gather& op, std::byte* to, cudaStream_t stream) {
  if (op.element_bytes == 2)
    run_kernel(gather_kernel<uint16_t>, op.cols, 256, stream, op, reinterpret_cast<uint16_t*>(to));
  else
    run_kernel(gather_kernel<uint32_t>, op.cols, 256, stream, op, reinterpret_cast<uint32_t*>(to));
}

}  // namespace ropewalk::cuda
