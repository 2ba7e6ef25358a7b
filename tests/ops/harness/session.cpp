#include "tests/ops/harness/session.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/abi/operands.h"
#include "core/graph/check.h"
#include "tests/ops/harness/half.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::TensorKind;

constexpr uint64_t kGuard = 256;  // also the alignment of slices
constexpr std::byte kUnwritten{0xff};

// Guards and outputs start with a pattern that differs at every offset, so that even copied bytes
// show as a change.
std::byte sentinel(uint64_t offset) {
  return static_cast<std::byte>(offset * 0x9e3779b97f4a7c15u >> 56);
}

uint64_t align(uint64_t bytes) { return (bytes + kGuard - 1) / kGuard * kGuard; }

}  // namespace

void check(const abi::Status& status, const std::string& what) {
  if (!status.ok()) throw std::runtime_error(what + ": " + status.message);
}

Session::Session(const Case& description, abi::Device& device, const abi::ProgramShape& shape,
                 Steps steps)
    : device_(device),
      shape_(shape),
      wanted_steps_(steps),
      case_(description),
      graph_(case_.graph_) {
  for (GraphTensor& t : graph_.tensors)
    if (t.kind == TensorKind::scratch && t.dtype == DType::gptq)
      t.dtype = device_.info().activation;
  for (const GraphNode& node : graph_.nodes)
    for (const TensorId out : node.out)
      if (steps == Steps::alone || graph_.readers(out).empty()) graph_.add_output(out);
  check_graph(graph_);
  place();
  fill();
  choose_steps();
  compile();
}

Session::~Session() {
  if (program_) program_->release();
  for (const Area& area : areas_) device_.free(area.buffer);
  device_.free(workspace_.buffer);
}

Session::Area& Session::area_of(const GraphTensor& tensor) {
  const size_t index = tensor.kind == TensorKind::cache     ? 1
                       : tensor.kind == TensorKind::scratch ? 2
                                                            : 0;
  return areas_[index];
}

void Session::place() {
  for (const abi::Arena arena : {abi::Arena::weights, abi::Arena::cache, abi::Arena::scratch})
    areas_.push_back({arena, {}, kGuard, {}});
  for (TensorId i = 0; i < graph_.tensors.size(); ++i) {
    GraphTensor& t = graph_.tensors[i];
    uint64_t bytes = 0;
    if (t.kind == TensorKind::weight) {
      check(device_.packed_bytes(case_.stored_[i].view(), &bytes), "packed_bytes " + t.name);
    } else if (t.kind == TensorKind::cache) {
      if (!(device_.info().kv_types >> static_cast<uint32_t>(t.dtype) & 1))
        throw Unsupported("no cache of this type");
      bytes = t.dims[0] * kv_page_of(t).bytes();
    } else {
      bytes = graph_.bytes(i, shape_.rows, shape_.wanted);
    }
    Area& area = area_of(t);
    t.at = {{}, area.bytes, bytes};
    area.bytes += align(bytes) + kGuard;
  }
  for (Area& area : areas_)
    check(device_.allocate(area.arena, area.bytes, &area.buffer), "allocate");
  for (GraphTensor& t : graph_.tensors) t.at.buffer = area_of(t).buffer;
}

void Session::fill() {
  for (Area& area : areas_) {
    area.before.resize(area.bytes);
    for (uint64_t i = 0; i < area.bytes; ++i) area.before[i] = sentinel(i);
  }
  for (TensorId i = 0; i < graph_.tensors.size(); ++i) {
    const GraphTensor& t = graph_.tensors[i];
    const bool is_input = t.kind == TensorKind::scratch && graph_.writer(i) == graph_.nodes.size();
    if (is_input || t.kind == TensorKind::cache)
      std::fill_n(area_of(t).before.begin() + static_cast<ptrdiff_t>(t.at.offset), t.at.bytes,
                  kUnwritten);
  }
  for (Area& area : areas_)
    check(device_.write({area.buffer, 0, area.bytes}, area.before), "write");

  std::vector<bool> may_change(areas_[0].bytes, false);
  const auto allow = [&](const abi::Slice& at) {
    std::fill_n(may_change.begin() + static_cast<ptrdiff_t>(at.offset), at.bytes, true);
  };
  for (const auto& [tensor, stored] : case_.stored_) {
    const GraphTensor& t = graph_.tensors[tensor];
    for (const StoredWeight& part : stored.parts())
      check(device_.pack(part.view(), t.at), "pack " + t.name);
    allow(t.at);
  }
  for (const auto& [tensor, contents] : case_.contents_) {
    const GraphTensor& t = graph_.tensors[tensor];
    check(device_.write(t.at, contents), "write " + t.name);
    allow(t.at);
  }
  const std::vector<std::byte> now = read_area(areas_[0]);
  for (uint64_t i = 0; i < now.size(); ++i)
    if (!may_change[i] && now[i] != areas_[0].before[i])
      throw std::runtime_error("pack wrote outside its slice, at byte " + std::to_string(i));
  areas_[0].before = now;
}

bool Session::is_hidden(TensorId tensor) const {
  return std::any_of(chosen_.begin(), chosen_.end(), [&](const OwnedClaim& step) {
    return std::count(step.hidden.begin(), step.hidden.end(), tensor);
  });
}

std::vector<size_t> Session::step_sizes() const {
  std::vector<size_t> sizes;
  for (const OwnedClaim& step : chosen_) sizes.push_back(step.nodes.size());
  return sizes;
}

// A device must also offer every node alone, and no claim that the core would reject.
void Session::choose_steps() {
  ClaimList offered;
  check(device_.claim(GraphView(graph_).get(), offered), "claim");
  for (const OwnedClaim& claim : offered.claims)
    if (const std::string reason = judge(graph_, claim); !reason.empty())
      throw std::runtime_error("a claim is not legal: " + reason);
  for (const auto& [node, reason] : offered.refusals) throw Unsupported(reason);
  ClaimList alone;
  for (const OwnedClaim& claim : offered.claims)
    if (claim.nodes.size() == 1) alone.claims.push_back(claim);
  const std::string device = device_.info().name;
  chosen_ = ropewalk::choose_steps(graph_, alone, device);
  if (wanted_steps_ == Steps::fused) chosen_ = ropewalk::choose_steps(graph_, offered, device);
}

void Session::compile() {
  for (TensorId t = 0; t < graph_.tensors.size(); ++t)
    if (is_hidden(t)) graph_.tensors[t].at = {};
  std::vector<abi::Claim> steps;
  for (const OwnedClaim& step : chosen_) steps.push_back({step.nodes, step.hidden, step.gain_us});
  const GraphView view(graph_);
  abi::CompileRequest request{&view.get(), steps, shape_};
  check(device_.workspace_bytes(request, &workspace_.bytes), "workspace_bytes");
  if (workspace_.bytes)
    check(device_.allocate(abi::Arena::scratch, workspace_.bytes, &workspace_.buffer), "allocate");
  request.workspace = workspace_;
  check(device_.compile(request, &program_), "compile");
}

void Session::set(uint32_t tensor, std::span<const float> values) {
  const GraphTensor& t = graph_.tensors[tensor];
  std::vector<std::byte> bytes(t.at.bytes, kUnwritten);
  if (t.dtype == DType::f32) {
    std::memcpy(bytes.data(), values.data(), values.size_bytes());
  } else {
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t half = f16_bits(static_cast<double>(values[i]));
      std::memcpy(bytes.data() + 2 * i, &half, 2);
    }
  }
  check(device_.write(t.at, bytes), "write " + t.name);
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

uint64_t Session::written_bytes(TensorId tensor) const {
  return graph_.bytes(tensor, static_cast<uint32_t>(step_.position.size()),
                      static_cast<uint32_t>(step_.wanted.size()));
}

void Session::check_area(Area& area) {
  const std::vector<std::byte> now = read_area(area);
  if (now == area.before) return;
  std::vector<bool> may_change(area.bytes, false);
  for (const GraphNode& node : graph_.nodes) {
    for (const TensorId out : node.out) {
      const GraphTensor& t = graph_.tensors[out];
      if (!is_hidden(out) && &area_of(t) == &area)
        std::fill_n(may_change.begin() + static_cast<ptrdiff_t>(t.at.offset), written_bytes(out),
                    true);
    }
    if (node.op == abi::Op::kv_append && area.arena == abi::Arena::cache)
      for (const TensorId cache : {node.in[2], node.in[3]})
        check_cache(graph_.tensors[cache], area, now, may_change);
  }
  for (uint64_t i = 0; i < now.size(); ++i)
    if (!may_change[i] && now[i] != area.before[i])
      throw std::runtime_error("byte " + std::to_string(i) + " of arena " +
                               std::to_string(static_cast<uint32_t>(area.arena)) +
                               " changed, which belongs to no output of the step");
  area.before = now;
}

// The device chooses the layout inside a page. So the check is: only pages of the step's rows
// change, and at most as many bytes as its entries have.
void Session::check_cache(const GraphTensor& t, const Area& area, std::span<const std::byte> now,
                          std::vector<bool>& may_change) const {
  const uint64_t page_bytes = kv_page_of(t).bytes(), page_tokens = t.dims[1];
  std::map<uint64_t, uint64_t> rows_of_page;
  for (size_t r = 0; r < step_.position.size(); ++r)
    ++rows_of_page[step_.page[step_.sequence[r] * shape_.pages_per_sequence +
                              step_.position[r] / page_tokens]];
  for (const auto& [page, rows] : rows_of_page) {
    const uint64_t first = t.at.offset + page * page_bytes;
    uint64_t changed = 0;
    for (uint64_t i = first; i < first + page_bytes; ++i) {
      changed += now[i] != area.before[i];
      may_change[i] = true;
    }
    if (changed > rows * page_bytes / page_tokens)
      throw std::runtime_error("page " + std::to_string(page) + ": " + std::to_string(changed) +
                               " bytes changed for " + std::to_string(rows) + " rows");
  }
}

std::vector<float> Session::get(uint32_t tensor) {
  const GraphTensor& t = graph_.tensors[tensor];
  std::vector<std::byte> bytes(written_bytes(tensor));
  check(device_.read(bytes, {t.at.buffer, t.at.offset, bytes.size()}), "read");
  std::vector<float> values(bytes.size() / abi::element_bytes(t.dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    if (t.dtype == DType::f32) {
      std::memcpy(&values[i], bytes.data() + 4 * i, 4);
    } else {
      uint16_t half = 0;
      std::memcpy(&half, bytes.data() + 2 * i, 2);
      // The largest exponent is infinity or NaN: either fails every comparison.
      values[i] = (half & 0x7c00) == 0x7c00 ? NAN : static_cast<float>(f16_value(half));
    }
  }
  return values;
}

}  // namespace ropewalk::test
