#include "backends/cuda/quantize/solver.h"

#include <algorithm>
#include <numeric>

#include "backends/cuda/quantize/matrices.h"
#include "backends/cuda/quantize/rows.h"
#include "core/abi/guard.h"
#include "core/abi/operands.h"

namespace ropewalk::cuda {
namespace {

constexpr uint32_t kGramTokens = 2048;  // of a sum in f32
constexpr uint32_t kEnergyRows = 4096;  // at a time
constexpr uint32_t kPitchStep = 8;      // of f16: 16 bytes, which cuBLAS's fast kernels ask for

uint64_t square(uint32_t n, uint64_t size) { return uint64_t{n} * n * size; }

RoundingRules rules_of(const abi::RangeRules& rules) {
  return {rules.bits, rules.group_size, rules.symmetric, rules.zero_from_one, rules.search};
}

}  // namespace

// Device memory, freed when it goes.
class QuantizeSolver::Block {
 public:
  Block(Memory& memory, uint64_t bytes)
      : memory_(memory), bytes_(bytes), buffer_(memory.allocate(bytes)) {}
  template <class Value>
  Block(Memory& memory, std::span<const Value> values) : Block(memory, values.size_bytes()) {
    write(values);
  }
  ~Block() {
    static_cast<void>(abi::guard([&] { memory_.free(buffer_); }));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  template <class T>
  T* at() const {
    return reinterpret_cast<T*>(memory_.address({buffer_, 0, bytes_}));
  }
  uint64_t bytes() const { return bytes_; }
  // From the front.
  template <class Value>
  void write(std::span<const Value> values) const {
    memory_.write({buffer_, 0, values.size_bytes()}, std::as_bytes(values));
  }
  template <class Value>
  void read(std::span<Value> values) const {
    if (values.empty()) return;
    memory_.read(std::as_writable_bytes(values), {buffer_, 0, values.size_bytes()});
  }
  void set(uint32_t value) const { write(std::span<const uint32_t>(&value, 1)); }
  uint32_t get() const {
    uint32_t value = 0;
    read(std::span(&value, 1));
    return value;
  }

 private:
  Memory& memory_;
  uint64_t bytes_;
  abi::Buffer buffer_;
};

struct QuantizeSolver::Sums {
  Block workspace, columns, beyond;
};

struct QuantizeSolver::Matrix {
  Block weight, moved;  // W, and room for as much
  Block codes, clipped;
  uint32_t rows;
  std::unique_ptr<Block> scales, zeros;  // of the last rounding
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
    inputs_ = inputs;
    h_ = std::make_unique<Block>(memory_, square(inputs, sizeof(double)));
    upper_ = std::make_unique<Block>(memory_, square(inputs, sizeof(float)));
    sums_.reset(new Sums{{memory_, Cublas::kWorkspaceBytes},
                         {memory_, uint64_t{inputs} * kGramTokens * sizeof(uint16_t)},
                         {memory_, sizeof(uint32_t)}});
    context_.check(cudaMemsetAsync(h_->at<void>(), 0, h_->bytes(), context_.stream()), "a sum");
  });
}

abi::Status QuantizeSolver::gram(const abi::Slice& x, abi::DType dtype, bool* fits) noexcept {
  return on_device([&] {
    const uint64_t row = uint64_t{inputs_} * element_bytes(dtype);
    const uint64_t tokens = x.bytes / row;
    const std::byte* at = memory_.address(x);
    sums_->beyond.set(0);
    for (uint64_t first = 0; first < tokens; first += kGramTokens)
      add(at + first * row, dtype,
          static_cast<uint32_t>(std::min<uint64_t>(kGramTokens, tokens - first)));
    *fits = sums_->beyond.get() == 0;
  });
}

// cuBLAS multiplies rows with rows: those of x transposed are the columns of x.
void QuantizeSolver::add(const std::byte* x, abi::DType dtype, uint32_t tokens) {
  const uint32_t pitch = (tokens + kPitchStep - 1) / kPitchStep * kPitchStep;
  const auto* columns = sums_->columns.at<uint16_t>();
  transpose({x, sums_->columns.at<uint16_t>(), sums_->beyond.at<uint32_t>(), dtype, tokens, inputs_,
             pitch},
            context_.stream());
  shared_.cublas->multiply({columns, columns, upper_->at<void>(), abi::DType::f16, abi::DType::f32,
                            inputs_, pitch, inputs_, pitch, pitch, inputs_},
                           sums_->workspace.at<std::byte>(), context_.stream());
  add_lower(upper_->at<float>(), h_->at<double>(), inputs_, context_.stream());
  context_.check_launches("a sum of products");
}

abi::Status QuantizeSolver::diagonal(std::span<double> values) noexcept {
  return on_device([&] {
    const Block found(memory_, values.size_bytes());
    read_diagonal(h_->at<double>(), found.at<double>(), inputs_, context_.stream());
    context_.check_launches("a diagonal");
    found.read(values);
  });
}

abi::Status QuantizeSolver::read_gram(std::span<double> lower) noexcept {
  return on_device([&] { h_->read(lower); });
}

abi::Status QuantizeSolver::factor(std::span<const uint32_t> order,
                                   std::span<const double> diagonal, bool* positive) noexcept {
  return on_device([&] {
    sums_.reset();
    order_ = std::make_unique<Block>(memory_, order);
    const Block values(memory_, diagonal), failed(memory_, sizeof(uint32_t));
    const Block lower(memory_, h_->bytes()), inverse(memory_, h_->bytes());
    failed.set(0);
    reorder({h_->at<double>(), values.at<double>(), order_->at<uint32_t>(), lower.at<double>(),
             inputs_},
            context_.stream());
    factor_lower(lower.at<double>(), inputs_, failed.at<uint32_t>(), context_.stream());
    context_.check_launches("a factor");
    *positive = failed.get() == 0;
    if (!*positive) return;
    invert_lower(lower.at<double>(), inverse.at<double>(), inputs_, context_.stream());
    reverse_to_upper(inverse.at<double>(), upper_->at<float>(), inputs_, context_.stream());
    context_.check_launches("an inverse");
    context_.wait();
  });
}

abi::Status QuantizeSolver::read_upper(std::span<float> upper) noexcept {
  return on_device([&] { upper_->read(upper); });
}

abi::Status QuantizeSolver::take(std::span<const float> weight, uint32_t rows,
                                 double* energy) noexcept {
  return on_device([&] {
    const uint64_t bytes = weight.size_bytes(), count = weight.size();
    matrix_.reset();
    matrix_.reset(new Matrix{{memory_, weight},
                             {memory_, bytes},
                             {memory_, count},
                             {memory_, sizeof(uint32_t)},
                             rows,
                             {},
                             {}});
    const std::vector<double> sums = find(matrix_->weight.at<float>(), rows);
    *energy = std::accumulate(sums.begin(), sums.end(), 0.0);
  });
}

Rounding QuantizeSolver::rounding(const abi::RangeRules& rules) {
  Matrix& m = *matrix_;
  const uint64_t ranges = uint64_t{m.rows} * ((inputs_ + rules.group_size - 1) / rules.group_size);
  m.scales = std::make_unique<Block>(memory_, ranges * sizeof(uint16_t));
  m.zeros = std::make_unique<Block>(memory_, ranges);
  m.clipped.set(0);
  return {m.weight.at<float>(),
          m.codes.at<uint8_t>(),
          m.scales->at<uint16_t>(),
          m.zeros->at<uint8_t>(),
          m.clipped.at<uint32_t>(),
          rules_of(rules),
          m.rows,
          inputs_};
}

void QuantizeSolver::finish(const Rounding& op, const uint32_t* group_of,
                            abi::RoundedRows* result) {
  find_lost(op, group_of, matrix_->moved.at<float>(), context_.stream());
  context_.check_launches("rounding");
  const std::vector<double> sums = find(matrix_->moved.at<float>(), op.rows);
  result->lost = std::accumulate(sums.begin(), sums.end(), 0.0);
  result->clipped = matrix_->clipped.get();
  matrix_->codes.read(result->codes);
  matrix_->scales->read(result->scales);
  matrix_->zeros->read(result->zeros);
}

abi::Status QuantizeSolver::nearest(const abi::RangeRules& rules,
                                    abi::RoundedRows* result) noexcept {
  return on_device([&] {
    Rounding op = rounding(rules);
    op.rules.search = false;
    round_nearest(op, context_.stream());
    finish(op, nullptr, result);
  });
}

abi::Status QuantizeSolver::solve(const abi::RangeRules& rules, const abi::ColumnGroups& groups,
                                  abi::RoundedRows* result) noexcept {
  return on_device([&] {
    const Rounding op = rounding(rules);
    std::vector<uint32_t> order(inputs_), group_of(inputs_);
    order_->read(std::span(order));
    for (uint32_t i = 0; i < inputs_; ++i) group_of[order[i]] = groups.of_place[i];
    const Block of_place(memory_, groups.of_place),
        of_column(memory_, std::span<const uint32_t>(group_of));
    const Block passed(memory_, uint64_t{op.rows} * kColumnsAtOnce * sizeof(float)),
        importance(memory_, uint64_t{2} * inputs_ * sizeof(float));
    round_columns(
        {op, h_->at<double>(), upper_->at<float>(), order_->at<uint32_t>(), of_place.at<uint32_t>(),
         groups.fixed, matrix_->moved.at<float>(), passed.at<float>(), importance.at<float>()},
        context_.stream());
    finish(op, of_column.at<uint32_t>(), result);
  });
}

std::vector<double> QuantizeSolver::find(const float* x, uint32_t rows) {
  const uint32_t tiles = matrix_tiles(inputs_);
  std::vector<double> sums;
  for (uint32_t first = 0; first < rows; first += kEnergyRows) {
    const uint32_t count = std::min(kEnergyRows, rows - first);
    std::vector<double> found(size_t{count} * tiles);
    const Block out(memory_, found.size() * sizeof(double));
    find_energies(
        {x + uint64_t{first} * inputs_, h_->at<double>(), out.at<double>(), count, inputs_},
        context_.stream());
    context_.check_launches("energies");
    out.read(std::span(found));
    for (uint32_t row = 0; row < count; ++row)
      sums.push_back(
          std::accumulate(found.begin() + row * tiles, found.begin() + (row + 1) * tiles, 0.0));
  }
  return sums;
}

abi::Status QuantizeSolver::energies(std::span<const float> x, std::span<double> sums) noexcept {
  return on_device([&] {
    const Block values(memory_, x);
    const std::vector<double> found =
        find(values.at<float>(), static_cast<uint32_t>(x.size() / inputs_));
    std::ranges::copy(found, sums.begin());
  });
}

void QuantizeSolver::end() noexcept {
  static_cast<void>(on_device([&] {
    matrix_.reset();
    sums_.reset();
    order_.reset();
    upper_.reset();
    h_.reset();
  }));
}

abi::Status QuantizeSolver::copy(const abi::Slice& to, const abi::Slice& from, abi::DType dtype,
                                 uint32_t* first_bad) noexcept {
  return on_device([&] {
    if (!first_bad_) first_bad_ = std::make_unique<Block>(memory_, sizeof(uint32_t));
    first_bad_->set(UINT32_MAX);
    copy_rows({memory_.address(from), memory_.address(to), first_bad_->at<uint32_t>(), dtype,
               static_cast<uint32_t>(from.bytes / element_bytes(dtype))},
              context_.stream());
    context_.check_launches("a copy");
    *first_bad = first_bad_->get();
  });
}

}  // namespace ropewalk::cuda
