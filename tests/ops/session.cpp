#include "tests/ops/session.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include "tests/ops/half.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::TensorKind;

constexpr uint64_t kGuard = 256;  // also the alignment of slices
constexpr std::byte kUnwritten{0xff};

// Guards and outputs begin with bytes that differ from place to place, so that not even copied
// rubbish looks untouched.
std::byte sentinel(uint64_t offset) {
  return static_cast<std::byte>(offset * 0x9e3779b97f4a7c15u >> 56);
}

uint64_t element_bytes(DType dtype) {
  return dtype == DType::f32 || dtype == DType::i32 ? 4 : dtype == DType::i8 ? 1 : 2;
}

uint64_t row_bytes(const abi::Tensor& t) {
  uint64_t bytes = element_bytes(t.dtype);
  for (uint32_t i = 1; i < t.rank; ++i) bytes *= t.dim[i];
  return bytes;
}

uint64_t align(uint64_t bytes) { return (bytes + kGuard - 1) / kGuard * kGuard; }

template <class Element>
std::vector<std::byte> bytes_of(const std::vector<Element>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(Element));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <class Step>
struct Claims final : abi::ClaimSink {
  void claim(const abi::Claim& claim) noexcept override {
    offered.push_back({{claim.nodes.begin(), claim.nodes.end()},
                       {claim.hidden.begin(), claim.hidden.end()},
                       claim.gain_us});
    if (claim.nodes.size() == 1) alone[claim.nodes[0]] = true;
  }
  void refuse(uint32_t node, std::string_view reason) noexcept override {
    reasons[node] = std::string(reason);
  }
  std::vector<Step> offered;
  std::map<uint32_t, bool> alone;
  std::map<uint32_t, std::string> reasons;
};

}  // namespace

void check(const abi::Status& status, const std::string& what) {
  if (!status.ok()) throw std::runtime_error(what + ": " + status.message);
}

abi::Step StepData::view() const {
  abi::Step step;
  step.rows = static_cast<uint32_t>(position.size());
  step.sequences = static_cast<uint32_t>(length.size());
  step.token = token;
  step.position = position;
  step.sequence = sequence;
  step.length = length;
  step.page = page;
  step.wanted = wanted;
  step.inv_freq = inv_freq;
  return step;
}

StepData plain_step(uint32_t rows) {
  StepData step;
  step.token.resize(rows);
  step.position.resize(rows);
  step.wanted.resize(rows);
  std::iota(step.position.begin(), step.position.end(), 0u);
  std::iota(step.wanted.begin(), step.wanted.end(), 0u);
  step.sequence.assign(rows, 0);
  step.length = {rows};
  step.page = {0};
  return step;
}

uint32_t Case::add(const std::string& name, TensorKind kind, DType dtype,
                   std::vector<uint32_t> dims) {
  TensorData data;
  data.name = name;
  data.tensor = {};
  data.tensor.kind = kind;
  data.tensor.dtype = dtype;
  data.tensor.rank = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), data.tensor.dim);
  tensors_.push_back(std::move(data));
  return static_cast<uint32_t>(tensors_.size() - 1);
}

uint64_t Case::width(uint32_t tensor) const {
  const abi::Tensor& t = tensors_[tensor].tensor;
  return std::accumulate(t.dim + 1, t.dim + t.rank, uint64_t{1}, std::multiplies<>());
}

// gptq stands for "the device's activation type", which no activation can have itself.
uint32_t Case::activation(const std::string& name, std::vector<uint32_t> dims) {
  return add(name, TensorKind::scratch, DType::gptq, std::move(dims));
}

uint32_t Case::logits(const std::string& name, std::vector<uint32_t> dims) {
  return add(name, TensorKind::scratch, DType::f32, std::move(dims));
}

uint32_t Case::vector(const std::string& name, const std::vector<float>& values) {
  const uint32_t tensor =
      add(name, TensorKind::constant, DType::f32, {static_cast<uint32_t>(values.size())});
  tensors_[tensor].contents = bytes_of(values);
  return tensor;
}

uint32_t Case::order(const std::string& name, const std::vector<uint32_t>& values) {
  const uint32_t tensor =
      add(name, TensorKind::constant, DType::i32, {static_cast<uint32_t>(values.size())});
  tensors_[tensor].contents = bytes_of(values);
  return tensor;
}

uint32_t Case::weight(const std::string& name, const StoredWeight& weight) {
  const abi::Weight& w = weight.shape;
  std::vector<uint32_t> dims = {w.rows, w.cols};
  if (w.use == abi::WeightUse::embed) dims = {w.cols, w.rows};
  const uint32_t tensor = add(name, TensorKind::weight, w.dtype, dims);
  tensors_[tensor].tensor.bits = w.bits;
  tensors_[tensor].tensor.group_size = w.group_size;
  tensors_[tensor].stored = weight;
  return tensor;
}

uint32_t Case::cache(const std::string& name, DType dtype, std::vector<uint32_t> dims) {
  return add(name, TensorKind::cache, dtype, std::move(dims));
}

void Case::node(abi::Op op, std::vector<uint32_t> in, std::vector<uint32_t> out,
                const abi::NodeParams& params) {
  nodes_.push_back({op, std::move(in), std::move(out), params});
}

Session::Session(const Case& description, abi::Device& device, const abi::ProgramShape& shape,
                 Steps steps)
    : device_(device),
      shape_(shape),
      wanted_steps_(steps),
      tensors_(description.tensors_),
      node_data_(description.nodes_) {
  place();
  fill();
  compile();
}

Session::~Session() {
  if (program_) program_->release();
  for (const Area& area : areas_) device_.free(area.buffer);
  device_.free(workspace_.buffer);
}

Session::Area& Session::area_of(const abi::Tensor& tensor) {
  const size_t index = tensor.kind == TensorKind::cache     ? 1
                       : tensor.kind == TensorKind::scratch ? 2
                                                            : 0;
  return areas_[index];
}

void Session::place() {
  for (const abi::Arena arena : {abi::Arena::weights, abi::Arena::cache, abi::Arena::scratch})
    areas_.push_back({arena, {}, kGuard, {}});
  for (Case::TensorData& data : tensors_) {
    abi::Tensor& t = data.tensor;
    t.name = data.name;
    if (t.kind == TensorKind::scratch && t.dtype == DType::gptq)
      t.dtype = device_.info().activation;
    uint64_t bytes = data.contents.size();
    if (t.kind == TensorKind::weight)
      check(device_.packed_bytes(data.stored.view(), &bytes), "packed_bytes " + data.name);
    if (t.kind == TensorKind::cache) {
      if (!(device_.info().kv_types >> static_cast<uint32_t>(t.dtype) & 1))
        throw Unsupported("no cache of this type");
      bytes = t.dim[0] * abi::kv_page_bytes(t.dtype, t.dim[2], t.dim[3]);
    }
    if (t.kind == TensorKind::scratch)
      bytes = row_bytes(t) * (t.dim[0] == abi::kWanted ? shape_.wanted : shape_.rows);
    Area& area = area_of(t);
    t.at = {{}, area.bytes, bytes};
    area.bytes += align(bytes) + kGuard;
  }
  for (Area& area : areas_)
    check(device_.allocate(area.arena, area.bytes, &area.buffer), "allocate");
  for (Case::TensorData& data : tensors_) data.tensor.at.buffer = area_of(data.tensor).buffer;
}

void Session::fill() {
  for (Area& area : areas_) {
    area.before.resize(area.bytes);
    for (uint64_t i = 0; i < area.bytes; ++i) area.before[i] = sentinel(i);
  }
  for (uint32_t i = 0; i < tensors_.size(); ++i) {
    const abi::Tensor& t = tensors_[i].tensor;
    const bool input = t.kind == TensorKind::scratch && !is_output(i);
    if (input || t.kind == TensorKind::cache)
      std::fill_n(area_of(t).before.begin() + static_cast<ptrdiff_t>(t.at.offset), t.at.bytes,
                  kUnwritten);
  }
  for (Area& area : areas_)
    check(device_.write({area.buffer, 0, area.bytes}, area.before), "write");

  std::vector<bool> may_change(areas_[0].bytes, false);
  for (const Case::TensorData& data : tensors_) {
    const abi::Slice& at = data.tensor.at;
    if (data.tensor.kind == TensorKind::weight) {
      for (const StoredWeight& part : data.stored.parts())
        check(device_.pack(part.view(), at), "pack " + data.name);
    } else if (data.tensor.kind == TensorKind::constant) {
      check(device_.write(at, data.contents), "write " + data.name);
    } else {
      continue;
    }
    std::fill_n(may_change.begin() + static_cast<ptrdiff_t>(at.offset), at.bytes, true);
  }
  const std::vector<std::byte> now = read_area(areas_[0]);
  for (uint64_t i = 0; i < now.size(); ++i)
    if (!may_change[i] && now[i] != areas_[0].before[i])
      throw std::runtime_error("pack wrote outside its slice, at byte " + std::to_string(i));
  areas_[0].before = now;
}

bool Session::is_output(uint32_t tensor) const {
  for (const Case::NodeData& node : node_data_)
    if (std::count(node.out.begin(), node.out.end(), tensor)) return true;
  return false;
}

bool Session::is_read(uint32_t tensor) const {
  return std::any_of(node_data_.begin(), node_data_.end(), [&](const Case::NodeData& node) {
    return std::count(node.in.begin(), node.in.end(), tensor);
  });
}

bool Session::is_hidden(uint32_t tensor) const {
  return std::any_of(chosen_.begin(), chosen_.end(), [&](const OwnedStep& step) {
    return std::count(step.hidden.begin(), step.hidden.end(), tensor);
  });
}

std::vector<size_t> Session::step_sizes() const {
  std::vector<size_t> sizes;
  for (const OwnedStep& step : chosen_) sizes.push_back(step.nodes.size());
  return sizes;
}

void Session::choose_steps() {
  Claims<OwnedStep> claims;
  check(device_.claim(graph_, claims), "claim");
  for (uint32_t n = 0; n < nodes_.size(); ++n)
    if (!claims.alone[n]) throw Unsupported(claims.reasons[n]);
  std::stable_sort(claims.offered.begin(), claims.offered.end(),
                   [](const OwnedStep& a, const OwnedStep& b) { return a.gain_us > b.gain_us; });
  std::vector<bool> taken(nodes_.size(), false);
  for (const OwnedStep& step : claims.offered) {
    if (wanted_steps_ == Steps::alone && step.nodes.size() > 1) continue;
    if (std::any_of(step.nodes.begin(), step.nodes.end(), [&](uint32_t n) { return taken[n]; }))
      continue;
    for (const uint32_t n : step.nodes) taken[n] = true;
    chosen_.push_back(step);
  }
  std::sort(chosen_.begin(), chosen_.end(),
            [](const OwnedStep& a, const OwnedStep& b) { return a.nodes[0] < b.nodes[0]; });
  for (const OwnedStep& step : chosen_)
    for (const uint32_t hidden : step.hidden)
      for (uint32_t n = 0; n < nodes_.size(); ++n) {
        const bool outside = !std::count(step.nodes.begin(), step.nodes.end(), n);
        if (outside && std::count(node_data_[n].in.begin(), node_data_[n].in.end(), hidden))
          throw std::runtime_error("a claim hides " + tensors_[hidden].name +
                                   ", which another node reads");
      }
}

void Session::compile() {
  for (const Case::TensorData& data : tensors_) abi_tensors_.push_back(data.tensor);
  for (const Case::NodeData& data : node_data_) {
    nodes_.push_back({"node", data.op, data.in, data.out, data.params});
    for (const uint32_t out : data.out)
      if (wanted_steps_ == Steps::alone || !is_read(out)) outputs_.push_back(out);
  }
  graph_ = {nodes_, abi_tensors_, outputs_};
  choose_steps();
  for (uint32_t t = 0; t < abi_tensors_.size(); ++t)
    if (is_hidden(t)) abi_tensors_[t].at = {};

  std::vector<abi::Claim> steps;
  for (const OwnedStep& step : chosen_) steps.push_back({step.nodes, step.hidden, step.gain_us});
  abi::CompileRequest request{&graph_, steps, shape_};
  check(device_.workspace_bytes(request, &workspace_.bytes), "workspace_bytes");
  if (workspace_.bytes)
    check(device_.allocate(abi::Arena::scratch, workspace_.bytes, &workspace_.buffer), "allocate");
  request.workspace = workspace_;
  check(device_.compile(request, &program_), "compile");
}

void Session::set(uint32_t tensor, std::span<const float> values) {
  const abi::Tensor& t = tensors_[tensor].tensor;
  std::vector<std::byte> bytes(t.at.bytes, kUnwritten);
  if (t.dtype == DType::f32) {
    std::memcpy(bytes.data(), values.data(), values.size_bytes());
  } else {
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t half = f16_bits(static_cast<double>(values[i]));
      std::memcpy(bytes.data() + 2 * i, &half, 2);
    }
  }
  check(device_.write(t.at, bytes), "write " + tensors_[tensor].name);
  std::copy(bytes.begin(), bytes.end(),
            area_of(t).before.begin() + static_cast<ptrdiff_t>(t.at.offset));
}

void Session::run(const StepData& step) {
  repeat(step);
  for (Area& area : areas_) check_area(area);
}

void Session::repeat(const StepData& step) {
  step_ = step;
  check(program_->enqueue(step_.view()), "enqueue");
  check(device_.wait(), "wait");
}

std::vector<std::byte> Session::read_area(const Area& area) {
  std::vector<std::byte> bytes(area.bytes);
  check(device_.read(bytes, {area.buffer, 0, area.bytes}), "read");
  return bytes;
}

uint64_t Session::written_rows(const abi::Tensor& tensor) const {
  return tensor.dim[0] == abi::kWanted ? step_.wanted.size() : step_.position.size();
}

void Session::check_area(Area& area) {
  const std::vector<std::byte> now = read_area(area);
  if (now == area.before) return;
  std::vector<bool> may_change(area.bytes, false);
  for (const Case::NodeData& node : node_data_) {
    for (const uint32_t out : node.out) {
      if (is_hidden(out)) continue;
      const abi::Tensor& t = tensors_[out].tensor;
      if (&area_of(t) == &area)
        std::fill_n(may_change.begin() + static_cast<ptrdiff_t>(t.at.offset),
                    written_rows(t) * row_bytes(t), true);
    }
    if (node.op == abi::Op::kv_append && area.arena == abi::Arena::cache)
      for (const uint32_t cache : {node.in[2], node.in[3]})
        check_cache(tensors_[cache].tensor, area, now, may_change);
  }
  for (uint64_t i = 0; i < now.size(); ++i)
    if (!may_change[i] && now[i] != area.before[i])
      throw std::runtime_error("byte " + std::to_string(i) + " of arena " +
                               std::to_string(static_cast<uint32_t>(area.arena)) +
                               " changed, which belongs to no output of the step");
  area.before = now;
}

// The layout inside a page is the device's, so what can be said is: only pages of the step's rows
// change, and no more bytes of them than its entries have.
void Session::check_cache(const abi::Tensor& t, const Area& area, std::span<const std::byte> now,
                          std::vector<bool>& may_change) const {
  const uint64_t page_bytes = abi::kv_page_bytes(t.dtype, t.dim[2], t.dim[3]);
  std::map<uint64_t, uint64_t> rows_of_page;
  for (size_t r = 0; r < step_.position.size(); ++r)
    ++rows_of_page[step_.page[step_.sequence[r] * shape_.pages_per_sequence +
                              step_.position[r] / abi::kPageTokens]];
  for (const auto& [page, rows] : rows_of_page) {
    const uint64_t first = t.at.offset + page * page_bytes;
    uint64_t changed = 0;
    for (uint64_t i = first; i < first + page_bytes; ++i) {
      changed += now[i] != area.before[i];
      may_change[i] = true;
    }
    if (changed > rows * page_bytes / abi::kPageTokens)
      throw std::runtime_error("page " + std::to_string(page) + ": " + std::to_string(changed) +
                               " bytes changed for " + std::to_string(rows) + " rows");
  }
}

std::vector<float> Session::get(uint32_t tensor) {
  const abi::Tensor& t = tensors_[tensor].tensor;
  std::vector<std::byte> bytes(written_rows(t) * row_bytes(t));
  check(device_.read(bytes, {t.at.buffer, t.at.offset, bytes.size()}), "read");
  std::vector<float> values(bytes.size() / element_bytes(t.dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    if (t.dtype == DType::f32) {
      std::memcpy(&values[i], bytes.data() + 4 * i, 4);
    } else {
      uint16_t half = 0;
      std::memcpy(&half, bytes.data() + 2 * i, 2);
      // The greatest exponent is infinity or NaN: either fails every comparison.
      values[i] = (half & 0x7c00) == 0x7c00 ? NAN : static_cast<float>(f16_value(half));
    }
  }
  return values;
}

}  // namespace ropewalk::test
