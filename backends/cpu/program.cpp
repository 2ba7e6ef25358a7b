#include "backends/cpu/program.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/abi/device_tables.h"
#include "core/abi/guard.h"

namespace ropewalk::cpu {
namespace {

using abi::Op;
using abi::Tensor;

class Operands : public abi::NodePointers<Memory> {
 public:
  using NodePointers::NodePointers;

  // Runs of a row that rms_norm normalises.
  uint32_t runs() const { return width() / in(1).dim[0]; }
  Cache cache(size_t i) const { return cache_of(in(i), bytes(i)); }
  const uint16_t* halves(size_t i) const { return reinterpret_cast<const uint16_t*>(bytes(i)); }
  // Throws Failure (invalid_argument) where no weight of this shape was packed.
  const std::byte* weight(size_t i, abi::WeightUse use) const {
    PackedHeader header;
    std::memcpy(&header, bytes(i), sizeof header);
    const abi::PackedAs found{header.use,  header.dtype, header.rows,
                              header.cols, header.bits,  header.group_size};
    require_packed(in(i), use, header.magic == kPackedMagic ? &found : nullptr);
    return bytes(i);
  }
};

Attention attention_of(const abi::Node& node, const Operands& o) {
  return {o.floats(0),     o.order(3), o.result(),
          o.cache(1),      o.cache(2), heads_of(o.in(0), o.in(1)),
          node.attention()};
}

// Whether `node` and the one before it, if any, multiply the same x by weights that split it alike.
bool x_is_split(const abi::Graph& graph, const abi::Node* before, const abi::Node& node,
                const Kernels& kernels) {
  return before && before->op == Op::matmul && node.op == Op::matmul &&
         before->in[0] == node.in[0] &&
         split_alike(graph.tensors[before->in[1]], graph.tensors[node.in[1]], kernels);
}

std::function<void(const Frame&)> bind(const abi::Node& node, const Operands& o, bool x_is_split) {
  const auto stage = [](auto function, auto op) {
    return [function, op](const Frame& frame) { function(op, frame); };
  };
  switch (node.op) {
    case Op::embed:
      return stage(embed, Embed{o.weight(0, abi::WeightUse::embed), o.result(), o.width(),
                                node.embed().scale});
    case Op::rms_norm:
      return stage(rms_norm, RmsNorm{o.floats(0), o.floats(1), o.order(2), o.result(), o.runs(),
                                     o.in(1).dim[0], node.norm().epsilon, o.extent()});
    case Op::matmul:
      return stage(matmul, Matmul{o.floats(0), o.weight(1, abi::WeightUse::matmul), o.floats(2),
                                  o.result(), o.width_in(), o.width(), o.extent(), x_is_split});
    case Op::rope:
      return stage(rope,
                   Rope{o.floats(0), o.result(), o.in(0).dim[1], o.in(0).dim[2], node.rope()});
    case Op::kv_append:
      return stage(kv_append, KvAppend{o.floats(0), o.floats(1), o.cache(2), o.cache(3)});
    case Op::attention:
      return stage(attention, attention_of(node, o));
    case Op::silu_mul:
      return stage(silu_mul, GateMul{o.floats(0), o.floats(1), o.result(), o.width(), o.extent()});
    case Op::gelu_mul:
      return stage(gelu_mul, GateMul{o.floats(0), o.floats(1), o.result(), o.width(), o.extent()});
    case Op::add:
      return stage(
          add, Add{o.floats(0), o.floats(1), o.result(), o.width(), node.add().scale, o.extent()});
    case Op::permute:
      return stage(permute, Permute{o.floats(0), o.order(1), o.result(), o.width(), o.extent()});
    case Op::select:
      return stage(select, Select{o.floats(0), o.result(), o.width()});
    case Op::low_rank:
      return stage(low_rank, LowRank{o.floats(0), o.floats(1), o.halves(2), o.halves(3), o.order(4),
                                     o.floats(5), o.result(), o.width_in(), o.width(),
                                     o.in(2).dim[2], o.in(3).dim[2], o.extent()});
  }
  throw abi::Failure(abi::StatusCode::unsupported, "an op that this version does not know");
}

// Floats of the workspace.
struct Workspace {
  uint64_t one_op = 0;     // for the largest need: ops run one after another
  uint64_t rotations = 0;  // for rotation_tables()
  uint32_t head_dim = 0;   // of the keys that are rotated on reading; 0: none are

  uint64_t bytes() const { return (one_op + rotations) * sizeof(float); }
};

Workspace workspace_of(const abi::CompileRequest& request, const DeviceParts& parts) {
  const abi::ProgramShape& shape = request.shape;
  Workspace workspace;
  for (const abi::Node& node : request.graph->nodes) {
    if (node.op == Op::low_rank) {
      const Tensor& a = request.graph->tensors[node.in[2]];  // (slots, depth, cap)
      workspace.one_op =
          std::max(workspace.one_op, low_rank_workspace(shape.rows, a.dim[1], a.dim[2]));
    }
    if (node.op == Op::matmul)
      workspace.one_op =
          std::max(workspace.one_op,
                   matmul_workspace(request.graph->tensors[node.in[1]], shape.rows, parts.kernels));
    if (node.op != Op::attention) continue;
    // Sizes alone: of addresses attention_workspace() asks only whether there is an order.
    const Tensor& keys = request.graph->tensors[node.in[1]];
    static const int32_t some_order = 0;
    Attention op{};
    op.order = node.in.size() == 4 ? &some_order : nullptr;
    op.keys = cache_of(keys, nullptr);
    op.heads = heads_of(request.graph->tensors[node.in[0]], keys);
    workspace.one_op =
        std::max(workspace.one_op,
                 attention_workspace(op, shape.rows, shape.pages_per_sequence, parts.pool.lanes()));
    if (node.attention().rotation == abi::KeyRotation::before_cache) continue;
    if (workspace.head_dim && workspace.head_dim != keys.dim[3])
      throw abi::Failure(abi::StatusCode::unsupported,
                         std::string(node.name) + ": layers of different head dimensions");
    workspace.head_dim = keys.dim[3];
    workspace.rotations = uint64_t{shape.sequences} * rope_sizes_of(*request.graph).tables *
                          keys.dim[3] * shape.pages_per_sequence * keys.dim[1];
  }
  return workspace;
}

}  // namespace

uint64_t workspace_bytes(const abi::CompileRequest& request, const DeviceParts& parts) {
  return workspace_of(request, parts).bytes();
}

Program::Program(const abi::CompileRequest& request, const DeviceParts& parts)
    : parts_(parts),
      shape_(request.shape),
      page_tokens_(abi::page_tokens_of(*request.graph)),
      rope_(rope_sizes_of(*request.graph)) {
  const abi::Graph& graph = *request.graph;
  const Workspace workspace = workspace_of(request, parts);
  if (request.workspace.bytes < workspace.bytes())
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  workspace_ = workspace.bytes() ? reinterpret_cast<float*>(parts.memory.address(request.workspace))
                                 : nullptr;
  rotations_ = workspace_ + workspace.one_op;
  blocks_.reserve(shape_.rows);
  if (workspace.head_dim)
    stages_.push_back([this](const Frame& frame) { rotation_tables(rotations_, frame); });
  const abi::Node* before = nullptr;
  for (const abi::Claim& step : request.steps) {
    for (const uint32_t n : step.nodes) {
      const abi::Node& node = graph.nodes[n];
      stages_.push_back(bind(node, Operands(graph, node, parts.memory),
                             x_is_split(graph, before, node, parts.kernels)));
      before = &node;
    }
    group_ends_.push_back(stages_.size());
  }
  if (parts.timer.enabled()) ends_us_.resize(group_ends_.size());
}

Program::~Program() { parts_.timer.forget(*this); }

abi::Status Program::enqueue(const abi::Step& step) noexcept {
  return abi::guard([&] {
    const Frame frame{step,         parts_.pool, parts_.kernels, shape_.pages_per_sequence,
                      page_tokens_, workspace_,  rope_,          rotations_,
                      blocks_};
    if (ends_us_.empty())
      for (const auto& stage : stages_) stage(frame);
    else
      run_timed(frame);
  });
}

// What stands before the first group is timed with it.
void Program::run_timed(const Frame& frame) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  size_t stage = 0;
  for (size_t group = 0; group < group_ends_.size(); ++group) {
    for (; stage < group_ends_[group]; ++stage) stages_[stage](frame);
    ends_us_[group] = std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
  }
  parts_.timer.ran(*this);
}

}  // namespace ropewalk::cpu
