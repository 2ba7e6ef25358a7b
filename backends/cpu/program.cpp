#include "backends/cpu/program.h"

#include <algorithm>
#include <cstring>

#include "core/abi/guard.h"

namespace ropewalk::cpu {
namespace {

using abi::Op;
using abi::Tensor;

// One node with its tensors and where they lie.
class Operands {
 public:
  Operands(const abi::Graph& graph, const abi::Node& node, const Memory& memory)
      : graph_(graph), node_(node), memory_(memory) {}

  const Tensor& in(size_t i) const { return graph_.tensors[node_.in[i]]; }
  const Tensor& out() const { return graph_.tensors[node_.out[0]]; }
  bool has(size_t i) const { return i < node_.in.size(); }

  const float* floats(size_t i) const { return reinterpret_cast<const float*>(at(in(i))); }
  const float* floats_or_null(size_t i) const { return has(i) ? floats(i) : nullptr; }
  const int32_t* order_or_null(size_t i) const {
    return has(i) ? reinterpret_cast<const int32_t*>(at(in(i))) : nullptr;
  }
  float* result() const { return reinterpret_cast<float*>(at(out())); }
  std::byte* at(const Tensor& tensor) const { return memory_.at(tensor.at); }

  uint32_t width() const { return static_cast<uint32_t>(row_width(out())); }
  uint32_t width_in() const { return static_cast<uint32_t>(row_width(in(0))); }
  Extent extent() const { return out().dim[0] == abi::kWanted ? Extent::wanted : Extent::rows; }
  Cache cache(size_t i) const { return {at(in(i)), in(i).dtype, in(i).dim[2], in(i).dim[3]}; }
  uint32_t heads() const { return width_in() / in(1).dim[3]; }  // of attention

 private:
  const abi::Graph& graph_;
  const abi::Node& node_;
  const Memory& memory_;
};

Attention attention_of(const abi::Node& node, const Operands& o) {
  return {o.floats(0),
          o.order_or_null(3),
          o.result(),
          o.cache(1),
          o.cache(2),
          o.heads(),
          node.attention().scale,
          node.attention().rotation};
}

std::function<void(const Frame&)> bind(const abi::Node& node, const Operands& o) {
  const auto stage = [](auto function, auto op) {
    return [function, op](const Frame& frame) { function(op, frame); };
  };
  switch (node.op) {
    case Op::embed:
      return stage(embed, Embed{o.at(o.in(0)), o.result(), o.width()});
    case Op::rms_norm:
      return stage(rms_norm, RmsNorm{o.floats(0), o.floats(1), o.order_or_null(2), o.result(),
                                     o.width(), node.norm().epsilon, o.extent()});
    case Op::matmul:
      return stage(matmul, Matmul{o.floats(0), o.at(o.in(1)), o.floats_or_null(2), o.result(),
                                  o.width_in(), o.width(), o.extent()});
    case Op::rope:
      return stage(
          rope, Rope{o.floats(0), o.result(), o.in(0).dim[1], o.in(0).dim[2], node.rope().scale});
    case Op::kv_append:
      return stage(kv_append, KvAppend{o.floats(0), o.floats(1), o.cache(2), o.cache(3)});
    case Op::attention:
      return stage(attention, attention_of(node, o));
    case Op::silu_mul:
      return stage(silu_mul, SiluMul{o.floats(0), o.floats(1), o.result(), o.width(), o.extent()});
    case Op::add:
      return stage(add, Add{o.floats(0), o.floats(1), o.result(), o.width(), o.extent()});
    case Op::permute:
      return stage(permute,
                   Permute{o.floats(0), o.order_or_null(1), o.result(), o.width(), o.extent()});
    case Op::select:
      return stage(select, Select{o.floats(0), o.result(), o.width()});
  }
  throw abi::Failure(abi::StatusCode::unsupported, "an op that this version does not know");
}

// Elements of the workspace.
struct Workspace {
  uint64_t floats = 0;     // of the attention op that needs most: they run one after the other
  uint64_t rotations = 0;  // of rotation_tables()
  uint32_t head_dim = 0;   // of the keys that are rotated on reading

  uint64_t bytes() const { return (floats + rotations) * sizeof(float); }
};

Workspace workspace_of(const abi::CompileRequest& request, uint32_t lanes) {
  const abi::ProgramShape& shape = request.shape;
  Workspace workspace;
  for (const abi::Node& node : request.graph->nodes) {
    if (node.op != Op::attention) continue;
    // The sizes alone: attention_workspace() looks at no address but the order's being there.
    const Tensor& keys = request.graph->tensors[node.in[1]];
    static const int32_t some_order = 0;
    Attention op{};
    op.order = node.in.size() == 4 ? &some_order : nullptr;
    op.keys = {nullptr, keys.dtype, keys.dim[2], keys.dim[3]};
    op.heads = static_cast<uint32_t>(row_width(request.graph->tensors[node.in[0]]) / keys.dim[3]);
    workspace.floats = std::max(
        workspace.floats, attention_workspace(op, shape.rows, shape.pages_per_sequence, lanes));
    if (node.attention().rotation == abi::KeyRotation::before_cache) continue;
    if (workspace.head_dim && workspace.head_dim != keys.dim[3])
      throw abi::Failure(abi::StatusCode::unsupported,
                         std::string(node.name) + ": layers of different head dimensions");
    workspace.head_dim = keys.dim[3];
    workspace.rotations =
        uint64_t{shape.sequences} * keys.dim[3] * shape.pages_per_sequence * abi::kPageTokens;
  }
  return workspace;
}

}  // namespace

uint64_t workspace_bytes(const abi::CompileRequest& request, uint32_t lanes) {
  return workspace_of(request, lanes).bytes();
}

Program::Program(const abi::CompileRequest& request, const Host& host)
    : host_(host), shape_(request.shape) {
  const abi::Graph& graph = *request.graph;
  const Workspace workspace = workspace_of(request, host.pool.lanes());
  if (request.workspace.bytes < workspace.bytes())
    throw abi::Failure(abi::StatusCode::invalid_argument, "the workspace is too small");
  workspace_ =
      workspace.bytes() ? reinterpret_cast<float*>(host.memory.at(request.workspace)) : nullptr;
  rotations_ = workspace_ + workspace.floats;
  blocks_.reserve(shape_.rows);
  if (workspace.head_dim)
    stages_.push_back([this, dim = workspace.head_dim](const Frame& frame) {
      rotation_tables(dim, rotations_, frame);
    });
  for (const abi::Claim& step : request.steps)
    for (const uint32_t n : step.nodes) {
      const abi::Node& node = graph.nodes[n];
      const Operands operands(graph, node, host.memory);
      stages_.push_back(bind(node, operands));
      if (node.op == Op::matmul || node.op == Op::embed) {
        const Tensor& weight = operands.in(node.op == Op::matmul ? 1 : 0);
        weights_.push_back(
            {std::string(weight.name), operands.at(weight), weight,
             node.op == Op::matmul ? abi::WeightUse::matmul : abi::WeightUse::embed});
      }
    }
}

// Weights may be packed after the program is compiled, so this is asked when they are first used.
void Program::check_weights() {
  if (weights_checked_) return;
  for (const PackedWeight& weight : weights_) {
    PackedHeader header;
    std::memcpy(&header, weight.at, sizeof header);
    const Tensor& t = weight.expected;
    const bool embeds = weight.use == abi::WeightUse::embed;
    const bool right = header.magic == kPackedMagic && header.use == weight.use &&
                       header.dtype == t.dtype && header.rows == t.dim[embeds ? 1 : 0] &&
                       header.cols == t.dim[embeds ? 0 : 1] &&
                       (t.dtype != abi::DType::gptq ||
                        (header.bits == t.bits && header.group_size == t.group_size));
    if (!right)
      throw abi::Failure(abi::StatusCode::invalid_argument,
                         weight.name + ": no weight of this shape was packed here");
  }
  weights_checked_ = true;
}

abi::Status Program::enqueue(const abi::Step& step) noexcept {
  return abi::guard([&] {
    if (step.rows > shape_.rows || step.wanted.size() > shape_.wanted ||
        step.sequences > shape_.sequences)
      throw abi::Failure(abi::StatusCode::invalid_argument,
                         "the step is larger than the program was compiled for");
    check_weights();
    const Frame frame{step,       host_.pool, host_.kernels, shape_.pages_per_sequence,
                      workspace_, rotations_, blocks_};
    for (const auto& stage : stages_) stage(frame);
  });
}

}  // namespace ropewalk::cpu
