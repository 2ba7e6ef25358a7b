#include "bench/cuda/chain.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/abi/guard.h"
#include "core/abi/kv_page.h"

namespace ropewalk::cuda::bench {
namespace {

constexpr uint64_t kAlignment = 256;
// x is rounded to f16, and so are the weights of attention.
constexpr double kNear = 3e-3;

void require(const abi::Status& status) {
  if (!status.ok()) throw abi::Failure(status.code, status.message);
}

// A step's inputs. RoPE's frequencies are 0, so that it leaves queries and keys as they are.
struct StepData {
  std::vector<int32_t> token;
  std::vector<uint32_t> position, sequence, length, page, wanted;
  std::vector<float> inv_freq;

  StepData(const StepSize& size, uint32_t pages, uint32_t rope_pairs)
      : length(size.sequences, size.context) {
    const uint32_t each = size.rows / size.sequences;
    for (uint32_t r = 0; r < size.rows; ++r) {
      token.push_back(Chain::token_of(r));
      sequence.push_back(r / each);
      position.push_back(size.context - each + r % each);
    }
    for (uint32_t s = 1; s <= size.sequences; ++s) wanted.push_back(s * each - 1);
    for (uint32_t i = 0; i < size.sequences * pages; ++i) page.push_back(i);
    inv_freq.assign(size_t{size.sequences} * rope_pairs, 0.0f);
  }
  abi::Step view() const {
    const auto rows = static_cast<uint32_t>(token.size());
    const auto sequences = static_cast<uint32_t>(length.size());
    return {.rows = rows,
            .prompt_rows = rows > sequences ? rows : 0,
            .sequences = sequences,
            .token = token,
            .position = position,
            .sequence = sequence,
            .length = length,
            .page = page,
            .wanted = wanted,
            .inv_freq = inv_freq};
  }
};

// Where the program looked for the largest of each row of logits.
void check_largest(const DeviceParts& parts, std::span<const float> logits, uint32_t width) {
  if (!parts.shared.maxima) return;
  std::vector<int32_t> ids(logits.size() / width);
  parts.shared.maxima->read(ids);
  for (size_t row = 0; row < ids.size(); ++row) {
    const std::span<const float> of_row = logits.subspan(row * width, width);
    const auto largest = std::ranges::max_element(of_row) - of_row.begin();
    if (ids[row] != largest)
      throw abi::Failure(abi::StatusCode::internal, "WRONG, largest logit " +
                                                        std::to_string(ids[row]) + " instead of " +
                                                        std::to_string(largest));
  }
}

}  // namespace

Chain::~Chain() {
  if (!buffer_.id) return;
  static_cast<void>(abi::guard([&] { machine_.memory().free(buffer_); }));
}

uint32_t Chain::add(abi::TensorKind kind, abi::DType dtype, std::vector<uint32_t> dims,
                    uint64_t bytes) {
  abi::Tensor tensor{};
  tensor.name = names_.emplace_back("tensor " + std::to_string(tensors_.size()));
  tensor.kind = kind;
  tensor.dtype = dtype;
  tensor.rank = static_cast<uint8_t>(dims.size());
  std::ranges::copy(dims, tensor.dim);
  tensor.at.bytes = bytes;
  tensors_.push_back(tensor);
  return static_cast<uint32_t>(tensors_.size()) - 1;
}

uint32_t Chain::activation(uint32_t max_rows, std::vector<uint32_t> width) {
  uint64_t bytes = uint64_t{max_rows} * sizeof(float);
  for (const uint32_t size : width) bytes *= size;
  width.insert(width.begin(), abi::kRows);
  return add(abi::TensorKind::scratch, abi::DType::f32, width, bytes);
}

uint32_t Chain::wanted(uint32_t max_rows, uint32_t width) {
  const uint64_t bytes = uint64_t{max_rows} * width * sizeof(float);
  return add(abi::TensorKind::scratch, abi::DType::f32, {abi::kWanted, width}, bytes);
}

uint32_t Chain::again(uint32_t tensor) {
  const abi::Tensor first = tensors_[tensor];
  const auto index = static_cast<uint32_t>(tensors_.size());
  tensors_.push_back(first);
  same_[index] = tensor;
  return index;
}

uint32_t Chain::vector(uint32_t size) {
  return add(abi::TensorKind::constant, abi::DType::f32, {size}, uint64_t{size} * sizeof(float));
}

uint32_t Chain::order(uint32_t size) {
  return add(abi::TensorKind::constant, abi::DType::i32, {size}, uint64_t{size} * sizeof(int32_t));
}

uint32_t Chain::cache(abi::DType dtype, uint32_t pages, uint32_t heads, uint32_t head_dim) {
  const abi::KvPage page{dtype, abi::kDefaultPageTokens, heads, head_dim};
  return add(abi::TensorKind::cache, dtype, {pages, page.tokens, heads, head_dim},
             pages * page.bytes());
}

uint32_t Chain::weight(const abi::Weight& weight) {
  std::vector<uint32_t> dims = {weight.rows, weight.cols};
  if (weight.use == abi::WeightUse::embed) std::swap(dims[0], dims[1]);
  const uint32_t tensor = add(abi::TensorKind::weight, weight.dtype, dims, packed_bytes(weight));
  tensors_[tensor].bits = weight.bits;
  tensors_[tensor].group_size = weight.group_size;
  return tensor;
}

void Chain::node(abi::Op op, std::vector<uint32_t> in, std::vector<uint32_t> out,
                 const abi::NodeParams& params) {
  const std::vector<uint32_t>& inputs = lists_.emplace_back(std::move(in));
  const std::vector<uint32_t>& results = lists_.emplace_back(std::move(out));
  nodes_.push_back({abi::op_name(op), op, inputs, results, params});
}

void Chain::end_launch(std::vector<uint32_t> hidden) {
  std::vector<uint32_t>& nodes = lists_.emplace_back();
  while (claimed_ < nodes_.size()) nodes.push_back(claimed_++);
  claims_.push_back({nodes, lists_.emplace_back(std::move(hidden)), 0});
}

void Chain::end_step(std::vector<uint32_t> hidden) {
  end_launch(std::move(hidden));
  ++steps_;
}

void Chain::place() {
  uint64_t total = 0;
  for (uint32_t i = 0; i < tensors_.size(); ++i) {
    abi::Tensor& tensor = tensors_[i];
    if (same_.contains(i)) {
      tensor.at.offset = tensors_[same_[i]].at.offset;
      continue;
    }
    tensor.at.offset = total;
    total += (tensor.at.bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  buffer_ = machine_.memory().allocate(total);
  for (abi::Tensor& tensor : tensors_) tensor.at.buffer = buffer_;
}

void Chain::set(uint32_t tensor, std::span<const float> values) {
  abi::Slice at = tensors_[tensor].at;
  at.bytes = values.size_bytes();
  machine_.memory().write(at, std::as_bytes(values));
}

void Chain::set_order(uint32_t tensor, std::span<const uint32_t> order) {
  machine_.memory().write(tensors_[tensor].at, std::as_bytes(order));
}

double Chain::pack(uint32_t tensor, const abi::Weight& weight) {
  return machine_.pack(weight, tensors_[tensor].at);
}

void Chain::fill(uint32_t tensor, uint32_t seed) { machine_.fill(tensors_[tensor].at, seed); }

std::vector<std::byte> Chain::get_bytes(uint32_t tensor, uint64_t offset, uint64_t bytes) const {
  std::vector<std::byte> found(bytes);
  abi::Slice at = tensors_[tensor].at;
  at.offset += offset;
  at.bytes = bytes;
  machine_.memory().read(found, at);
  return found;
}

std::vector<float> Chain::get(uint32_t tensor, uint64_t count) const {
  const std::vector<std::byte> bytes = get_bytes(tensor, 0, count * sizeof(float));
  std::vector<float> values(count);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(values.data()));
  return values;
}

double Chain::time(const StepSize& size, const Options& options, uint32_t output,
                   std::span<const Sample> samples, int repeats) {
  const abi::Graph all = graph();
  const uint32_t pages = abi::pages_for(size.context, abi::kDefaultPageTokens);
  abi::CompileRequest request{
      &all, claims_, {size.rows, size.sequences, size.sequences, pages}, {}};
  const DeviceParts parts = machine_.parts(options);
  const uint64_t bytes = workspace_bytes(request, parts);
  Memory& memory = machine_.memory();
  request.workspace = {memory.allocate(std::max(bytes, kAlignment)), 0, bytes};

  const uint64_t width = abi::row_width(tensors_[output]);
  set(output, std::vector<float>(size.rows * width, NAN));
  double seconds = 0;
  const abi::Status status = abi::guard([&] {
    Program program(request, parts);
    const StepData data(size, pages, abi::rope_sizes_of(all).pairs());
    const auto run = [&] { require(program.enqueue(data.view())); };
    seconds = machine_.time(run);
    double errors = 0, truths = 0;
    const std::vector<float> found = get(output, size.rows * width);
    for (const Sample& sample : samples) {
      const double error =
          static_cast<double>(found[sample.row * width + sample.column]) - sample.truth;
      errors += error * error;
      truths += sample.truth * sample.truth;
    }
    const double error = std::sqrt(errors / truths);
    if (!(error < kNear))
      throw abi::Failure(abi::StatusCode::internal,
                         "WRONG, relative error " + std::to_string(error));
    check_largest(parts, found, static_cast<uint32_t>(width));
    if (repeats == 0) return;
    run();
    std::vector<double> times(static_cast<size_t>(repeats));
    for (double& each : times) each = machine_.time(run);
    std::ranges::nth_element(times, times.begin() + repeats / 2);
    seconds = times[static_cast<size_t>(repeats / 2)];
  });
  memory.free(request.workspace.buffer);
  if (!status.ok()) throw std::runtime_error(status.message);
  return seconds / steps();
}

}  // namespace ropewalk::cuda::bench
