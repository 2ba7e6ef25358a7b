#include "backends/cuda/quantize/solver.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "backends/cuda/quantize/matrices.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kGramTokens = 2048;  // of a sum in f32
constexpr uint32_t kEnergyRows = 4096;  // at a time
constexpr uint32_t kPitchStep = 8;      // of f16: 16 bytes, which cuBLAS's fast kernels ask for

uint64_t square(uint32_t n, uint64_t size) { return uint64_t{n} * n * size; }

}  // namespace

// Device memory, freed when it goes.
class QuantizeSolver::Block {
 public:
  Block(Memory& memory, uint64_t bytes)
      : memory_(memory), bytes_(bytes), buffer_(memory.allocate(bytes)) {}
  ~Block() {
    static_cast<void>(abi::guard([&] { memory_.free(buffer_); }));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  template <class T>
  T* at() const {
    return reinterpret_cast<T*>(memory_.address(slice(bytes_)));
  }
  abi::Slice slice(uint64_t bytes) const { return {buffer_, 0, bytes}; }
  uint64_t bytes() const { return bytes_; }

 private:
  Memory& memory_;
  uint64_t bytes_;
  abi::Buffer buffer_;
};

QuantizeSolver::QuantizeSolver(Context& context, Memory& memory, SharedResources& shared)
    : context_(context), memory_(memory), shared_(shared) {}
QuantizeSolver::~QuantizeSolver() = default;

template <class Body>
abi::Status QuantizeSolver::on_device(Body&& body) noexcept {
  return abi::guard([&] {
    context_.enter();
    body();
  });
}

abi::Status QuantizeSolver::begin(uint32_t inputs) noexcept {
  end();
  return on_device([&] {
    if (!shared_.cublas) shared_.cublas = std::make_unique<Cublas>(context_);
    h_ = std::make_unique<Block>(memory_, square(inputs, sizeof(double)));
    partial_ = std::make_unique<Block>(memory_, square(inputs, sizeof(float)));
    context_.check(cudaMemsetAsync(h_->at<void>(), 0, h_->bytes(), context_.stream()), "a sum");
    inputs_ = inputs;
  });
}

abi::Status QuantizeSolver::gram(std::span<const std::byte> x) noexcept {
  return on_device([&] {
    const Block workspace(memory_, Cublas::kWorkspaceBytes);
    const size_t part = size_t{kGramTokens} * inputs_ * sizeof(uint16_t);
    for (size_t first = 0; first < x.size(); first += part)
      add(x.subspan(first, std::min(part, x.size() - first)), workspace);
    context_.wait();
  });
}

// cuBLAS multiplies rows with rows: those of x transposed are the columns of x.
void QuantizeSolver::add(std::span<const std::byte> x, const Block& workspace) {
  const auto tokens = static_cast<uint32_t>(x.size() / sizeof(uint16_t) / inputs_);
  const uint32_t pitch = (tokens + kPitchStep - 1) / kPitchStep * kPitchStep;
  const Block rows(memory_, x.size()),
      columns(memory_, uint64_t{inputs_} * pitch * sizeof(uint16_t));
  memory_.write(rows.slice(x.size()), x);
  transpose({rows.at<uint16_t>(), columns.at<uint16_t>(), tokens, inputs_, pitch},
            context_.stream());
  shared_.cublas->multiply(
      {columns.at<void>(), columns.at<void>(), partial_->at<void>(), abi::DType::f16,
       abi::DType::f32, inputs_, pitch, inputs_, pitch, pitch, inputs_},
      workspace.at<std::byte>(), context_.stream());
  add_lower(partial_->at<float>(), h_->at<double>(), inputs_, context_.stream());
  context_.check_launches("a sum of products");
}

abi::Status QuantizeSolver::read_gram(std::span<double> lower) noexcept {
  return on_device([&] {
    memory_.read(std::as_writable_bytes(lower), h_->slice(square(inputs_, sizeof(double))));
  });
}

abi::Status QuantizeSolver::energies(std::span<const float> x, std::span<double> sums) noexcept {
  return on_device([&] {
    const uint32_t tiles = matrix_tiles(inputs_);
    for (size_t first = 0; first < sums.size(); first += kEnergyRows) {
      const auto rows = static_cast<uint32_t>(std::min<size_t>(kEnergyRows, sums.size() - first));
      const auto part = x.subspan(first * inputs_, size_t{rows} * inputs_);
      std::vector<double> found(size_t{rows} * tiles);
      const Block values(memory_, part.size_bytes()), out(memory_, found.size() * sizeof(double));
      memory_.write(values.slice(part.size_bytes()), std::as_bytes(part));
      find_energies({values.at<float>(), h_->at<double>(), out.at<double>(), rows, inputs_},
                    context_.stream());
      context_.check_launches("energies");
      memory_.read(std::as_writable_bytes(std::span(found)),
                   out.slice(found.size() * sizeof(double)));
      for (uint32_t row = 0; row < rows; ++row)
        sums[first + row] =
            std::accumulate(found.begin() + row * tiles, found.begin() + (row + 1) * tiles, 0.0);
    }
  });
}

void QuantizeSolver::end() noexcept {
  static_cast<void>(on_device([&] {
    partial_.reset();
    h_.reset();
  }));
}

abi::Status QuantizeSolver::factor(const abi::SymmetricMatrix& matrix, std::span<float> upper,
                                   bool* positive) noexcept {
  return on_device([&] {
    const uint32_t n = matrix.n;
    const uint64_t bytes = matrix.lower.size_bytes();
    uint32_t failed = 0;
    const Block inverse(memory_, bytes), result(memory_, upper.size_bytes()),
        flag(memory_, sizeof failed);
    {
      const Block lower(memory_, bytes);
      memory_.write(lower.slice(bytes), std::as_bytes(matrix.lower));
      memory_.write(flag.slice(sizeof failed), std::as_bytes(std::span(&failed, 1)));
      factor_lower(lower.at<double>(), n, flag.at<uint32_t>(), context_.stream());
      context_.check_launches("a factor");
      memory_.read(std::as_writable_bytes(std::span(&failed, 1)), flag.slice(sizeof failed));
      *positive = failed == 0;
      if (failed) return;
      invert_lower(lower.at<double>(), inverse.at<double>(), n, context_.stream());
      context_.check_launches("an inverse");
      context_.wait();
    }
    reverse_to_upper(inverse.at<double>(), result.at<float>(), n, context_.stream());
    context_.check_launches("an inverse");
    memory_.read(std::as_writable_bytes(upper), result.slice(upper.size_bytes()));
  });
}

}  // namespace ropewalk::cuda
