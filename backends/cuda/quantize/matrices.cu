// Products of tiles of 64 x 64: 256 threads with 4 x 4 sums each, 8 columns of both operands in
// shared memory at a time. Every product here is of rows with rows, the sum over k of
// a[i][k] b[j][k]: the Cholesky update and the inverse (which is kept transposed) in f64, and x H,
// whose sums of 64 terms are in f32. Bottleneck: multiply-adds, and shared memory, of which 16 sums
// need 8 loads.
#include "backends/cuda/kernel/launch.cuh"
#include "backends/cuda/quantize/matrices.h"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kTile = kMatrixTile, kThreads = 256, kStep = 8, kSide = 4;
constexpr uint32_t kShort = 64;       // terms of a sum in f32
constexpr uint32_t kPad = kTile + 1;  // so that a column's elements lie in different banks

// Rows of an operand: (rows, .) at `at`; what is behind them counts as 0.
template <class T>
struct Rows {
  const T* at;
  uint64_t pitch;
  uint32_t rows;
};

struct Sums {
  double of[kSide][kSide];
};

__device__ __forceinline__ uint32_t row_of_thread() {
  return threadIdx.x / (kTile / kSide) * kSide;
}
__device__ __forceinline__ uint32_t column_of_thread() {
  return threadIdx.x % (kTile / kSide) * kSide;
}

// sums += a b^T over columns [0, depth), multiplied as T. `weight(j, k)` multiplies b's element: 1
// but for H.
template <class T, class A, class Weight>
__device__ __forceinline__ void add_product(const Rows<A>& a, const Rows<double>& b, uint32_t depth,
                                            const Weight& weight, Sums& sums) {
  __shared__ T a_part[kStep][kPad];
  __shared__ T b_part[kStep][kPad];
  T part[kSide][kSide] = {};
  const auto add_up = [&] {
    for (uint32_t i = 0; i < kSide; ++i)
      for (uint32_t j = 0; j < kSide; ++j) {
        sums.of[i][j] += static_cast<double>(part[i][j]);
        part[i][j] = 0;
      }
  };
  for (uint32_t first = 0; first < depth; first += kStep) {
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < kTile * kStep; i += kThreads) {
      const uint32_t row = i / kStep, k = i % kStep;
      const bool inside = first + k < depth;
      a_part[k][row] =
          inside && row < a.rows ? static_cast<T>(a.at[row * a.pitch + first + k]) : T{0};
      b_part[k][row] = inside && row < b.rows ? static_cast<T>(b.at[row * b.pitch + first + k]) *
                                                    static_cast<T>(weight(row, first + k))
                                              : T{0};
    }
    __syncthreads();
    for (uint32_t k = 0; k < kStep; ++k) {
      T left[kSide], right[kSide];
      for (uint32_t i = 0; i < kSide; ++i) left[i] = a_part[k][row_of_thread() + i];
      for (uint32_t j = 0; j < kSide; ++j) right[j] = b_part[k][column_of_thread() + j];
      for (uint32_t i = 0; i < kSide; ++i)
        for (uint32_t j = 0; j < kSide; ++j) part[i][j] += left[i] * right[j];
    }
    if ((first + kStep) % kShort == 0) add_up();
  }
  add_up();
}

struct One {
  __device__ int operator()(uint32_t, uint32_t) const { return 1; }
};

__device__ __forceinline__ uint32_t rows_of_tile(uint32_t tile, uint32_t n) {
  return min(kTile, n - tile * kTile);
}

__global__ void __launch_bounds__(kThreads)
    add_lower_kernel(const float* partial, double* h, uint32_t n) {
  const uint32_t row = blockIdx.y, column = blockIdx.x * kThreads + threadIdx.x;
  if (column > row) return;
  const uint64_t at = uint64_t{row} * n + column;
  h[at] += static_cast<double>(partial[at]);
}

__global__ void __launch_bounds__(kThreads) reorder_kernel(const Reordering op) {
  const uint32_t i = blockIdx.y, j = blockIdx.x * kThreads + threadIdx.x;
  if (j > i) return;
  const uint32_t row = op.order[op.n - 1 - i], column = op.order[op.n - 1 - j];
  op.to[uint64_t{i} * op.n + j] =
      i == j ? op.diagonal[row] : op.h[uint64_t{max(row, column)} * op.n + min(row, column)];
}

__global__ void __launch_bounds__(kThreads)
    diagonal_kernel(const double* h, double* diagonal, uint32_t n) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) diagonal[i] = h[uint64_t{i} * n + i];
}

// Block (tile of x's rows, tile of h's rows): from the lower half, where what is below the diagonal
// counts twice.
__global__ void __launch_bounds__(kThreads) energies_kernel(const Energies op) {
  __shared__ double of_columns[kTile / kSide][kTile];
  const uint32_t first = blockIdx.x * kTile, tile = blockIdx.y, begin = tile * kTile;
  const uint32_t rows = min(kTile, op.rows - first), columns = rows_of_tile(tile, op.n);
  Sums sums{};
  add_product<float>(
      Rows<float>{op.x + uint64_t{first} * op.n, op.n, rows},
      Rows<double>{op.h + uint64_t{begin} * op.n, op.n, columns}, begin + columns,
      [begin](uint32_t j, uint32_t k) { return k < begin + j    ? 2
                                               : k == begin + j ? 1
                                                                : 0; }, sums);
  for (uint32_t i = 0; i < kSide; ++i) {
    double sum = 0;
    const uint32_t row = row_of_thread() + i;
    for (uint32_t j = 0; j < kSide; ++j) {
      const uint32_t column = column_of_thread() + j;
      if (row < rows && column < columns)
        sum += sums.of[i][j] *
               static_cast<double>(op.x[uint64_t{first + row} * op.n + begin + column]);
    }
    of_columns[column_of_thread() / kSide][row] = sum;
  }
  __syncthreads();
  if (threadIdx.x >= rows) return;
  double sum = 0;
  for (uint32_t part = 0; part < kTile / kSide; ++part) sum += of_columns[part][threadIdx.x];
  op.sums[uint64_t{first + threadIdx.x} * gridDim.y + tile] = sum;
}

// The corner at `tile`, one block: column by column.
__global__ void __launch_bounds__(kTile)
    factor_corner_kernel(double* matrix, uint32_t n, uint32_t tile, uint32_t* failed) {
  __shared__ double corner[kTile][kPad];
  const uint32_t count = rows_of_tile(tile, n), row = threadIdx.x;
  double* at = matrix + uint64_t{tile} * kTile * n + tile * kTile;
  if (row < count)
    for (uint32_t k = 0; k <= row; ++k) corner[row][k] = at[uint64_t{row} * n + k];
  __syncthreads();
  for (uint32_t j = 0; j < count; ++j) {
    double sum = 0;
    if (row >= j && row < count) {
      sum = corner[row][j];
      for (uint32_t k = 0; k < j; ++k) sum -= corner[row][k] * corner[j][k];
    }
    __syncthreads();
    if (row == j) {
      if (!(sum > 0) || !isfinite(sum)) *failed = 1;
      corner[j][j] = sqrt(sum);
    }
    __syncthreads();
    if (row > j && row < count) corner[row][j] = sum / corner[j][j];
    __syncthreads();
  }
  if (row < count)
    for (uint32_t k = 0; k <= row; ++k) at[uint64_t{row} * n + k] = corner[row][k];
}

// x -> x L^-T, where L is the corner: each thread has a row of its own.
__device__ __forceinline__ void substitute(const double (&corner)[kTile][kPad], uint32_t count,
                                           double (&x)[kTile]) {
  for (uint32_t j = 0; j < count; ++j) {
    double sum = x[j];
    for (uint32_t k = 0; k < j; ++k) sum -= x[k] * corner[j][k];
    x[j] = sum / corner[j][j];
  }
}

__device__ __forceinline__ void load_corner(const double* lower, uint32_t n, uint32_t tile,
                                            double (&corner)[kTile][kPad]) {
  const uint32_t count = rows_of_tile(tile, n);
  const double* at = lower + uint64_t{tile} * kTile * n + tile * kTile;
  for (uint32_t i = threadIdx.x; i < count * count; i += blockDim.x)
    corner[i / count][i % count] = at[uint64_t{i / count} * n + i % count];
  __syncthreads();
}

// The tiles below the corner: a block each, a thread for each row.
__global__ void __launch_bounds__(kTile) divide_kernel(double* matrix, uint32_t n, uint32_t tile) {
  __shared__ double corner[kTile][kPad];
  load_corner(matrix, n, tile, corner);
  const uint32_t row = (tile + 1 + blockIdx.x) * kTile + threadIdx.x;
  if (row >= n) return;
  double* at = matrix + uint64_t{row} * n + tile * kTile;
  double x[kTile];
  for (uint32_t k = 0; k < kTile; ++k) x[k] = at[k];
  substitute(corner, kTile, x);
  for (uint32_t k = 0; k < kTile; ++k) at[k] = x[k];
}

// What lies right of the column of tiles: block (column tile, row tile), of the lower half.
__global__ void __launch_bounds__(kThreads)
    update_kernel(double* matrix, uint32_t n, uint32_t tile) {
  const uint32_t i = tile + 1 + blockIdx.y, j = tile + 1 + blockIdx.x;
  if (j > i) return;
  const auto rows_at = [&](uint32_t of) {
    return Rows<double>{matrix + uint64_t{of} * kTile * n + tile * kTile, n, rows_of_tile(of, n)};
  };
  Sums sums{};
  add_product<double>(rows_at(i), rows_at(j), kTile, One(), sums);
  for (uint32_t r = 0; r < kSide; ++r)
    for (uint32_t c = 0; c < kSide; ++c) {
      const uint32_t row = i * kTile + row_of_thread() + r,
                     column = j * kTile + column_of_thread() + c;
      if (row < n && column < n) matrix[uint64_t{row} * n + column] -= sums.of[r][c];
    }
}

// Rows of tile `tile` of L^-1, for the columns of a block's tile:
//   X = L_tt^-1 (I - sum over the tiles before of L_tk X_k)
// The inverse is kept transposed, so that the sum is a product of rows with rows.
__global__ void __launch_bounds__(kThreads)
    invert_kernel(const double* lower, double* inverse, uint32_t n, uint32_t tile) {
  __shared__ double corner[kTile][kPad];
  const uint32_t begin = blockIdx.x * kTile, rows = rows_of_tile(blockIdx.x, n);
  const uint32_t count = rows_of_tile(tile, n);
  double* out = inverse + uint64_t{begin} * n + tile * kTile;
  Sums sums{};
  add_product<double>(Rows<double>{inverse + uint64_t{begin} * n + begin, n, rows},
                      Rows<double>{lower + uint64_t{tile} * kTile * n + begin, n, count},
                      tile * kTile - begin, One(), sums);
  for (uint32_t r = 0; r < kSide; ++r)
    for (uint32_t c = 0; c < kSide; ++c) {
      const uint32_t row = row_of_thread() + r, column = column_of_thread() + c;
      if (row < rows && column < count)
        out[uint64_t{row} * n + column] =
            (begin + row == tile * kTile + column ? 1.0 : 0.0) - sums.of[r][c];
    }
  load_corner(lower, n, tile, corner);  // the barrier is for `out` too
  if (threadIdx.x >= rows) return;
  double x[kTile];
  for (uint32_t k = 0; k < count; ++k) x[k] = out[uint64_t{threadIdx.x} * n + k];
  substitute(corner, count, x);
  for (uint32_t k = 0; k < count; ++k) out[uint64_t{threadIdx.x} * n + k] = x[k];
}

__global__ void __launch_bounds__(kThreads)
    reverse_kernel(const double* inverse, float* upper, uint32_t n) {
  __shared__ float part[32][33];
  const uint32_t x = threadIdx.x % 32, y = threadIdx.x / 32;
  const uint32_t row = blockIdx.y * 32, column = blockIdx.x * 32;  // of upper
  for (uint32_t i = y; i < 32; i += kThreads / 32) {
    const uint32_t j = column + i, of = row + x;  // inverse row n-1-j, column n-1-of
    part[x][i] = j < n && of < n && of <= j
                     ? static_cast<float>(inverse[uint64_t{n - 1 - j} * n + (n - 1 - of)])
                     : 0.0f;
  }
  __syncthreads();
  for (uint32_t i = y; i < 32; i += kThreads / 32)
    if (row + i < n && column + x < n) upper[uint64_t{row + i} * n + column + x] = part[i][x];
}

uint32_t blocks_of(uint32_t count, uint32_t each) { return (count + each - 1) / each; }

}  // namespace

void add_lower(const float* partial, double* h, uint32_t n, cudaStream_t stream) {
  run_kernel(add_lower_kernel, dim3(blocks_of(n, kThreads), n), kThreads, stream, partial, h, n);
}

void read_diagonal(const double* h, double* diagonal, uint32_t n, cudaStream_t stream) {
  run_kernel(diagonal_kernel, dim3(blocks_of(n, kThreads)), kThreads, stream, h, diagonal, n);
}

void reorder(const Reordering& op, cudaStream_t stream) {
  run_kernel(reorder_kernel, dim3(blocks_of(op.n, kThreads), op.n), kThreads, stream, op);
}

void find_energies(const Energies& op, cudaStream_t stream) {
  run_kernel(energies_kernel, dim3(matrix_tiles(op.rows), matrix_tiles(op.n)), kThreads, stream,
             op);
}

void factor_lower(double* matrix, uint32_t n, uint32_t* failed, cudaStream_t stream) {
  for (uint32_t tile = 0; tile < matrix_tiles(n); ++tile) {
    run_kernel(factor_corner_kernel, dim3(1), kTile, stream, matrix, n, tile, failed);
    const uint32_t below = matrix_tiles(n) - tile - 1;
    if (below == 0) return;
    run_kernel(divide_kernel, dim3(below), kTile, stream, matrix, n, tile);
    run_kernel(update_kernel, dim3(below, below), kThreads, stream, matrix, n, tile);
  }
}

void invert_lower(const double* lower, double* inverse, uint32_t n, cudaStream_t stream) {
  for (uint32_t tile = 0; tile < matrix_tiles(n); ++tile)
    run_kernel(invert_kernel, dim3(tile + 1), kThreads, stream, lower, inverse, n, tile);
}

void reverse_to_upper(const double* inverse, float* upper, uint32_t n, cudaStream_t stream) {
  run_kernel(reverse_kernel, dim3(blocks_of(n, 32), blocks_of(n, 32)), kThreads, stream, inverse,
             upper, n);
}

}  // namespace ropewalk::cuda
