#include "backends/cpu/claim.h"

#include "backends/cpu/ops/ops.h"
#include "core/abi/guard.h"

namespace ropewalk::cpu {
namespace {

using abi::DType;
using abi::Op;
using abi::Tensor;
using abi::TensorKind;

// Checks one node; the first thing found wrong is thrown as a Failure and becomes the refusal.
class Check {
 public:
  Check(const abi::Graph& graph, const abi::Node& node) : graph_(graph), node_(node) {}

  void run() const {
    switch (node_.op) {
      case Op::embed:
        return embed();
      case Op::rms_norm:
        return rms_norm();
      case Op::matmul:
        return matmul();
      case Op::rope:
        return rope();
      case Op::kv_append:
        return kv_append();
      case Op::attention:
        return attention();
      case Op::silu_mul:
      case Op::add:
        return elementwise();
      case Op::permute:
        return permute();
      case Op::select:
        return select();
    }
    no("an op that this version does not know");
  }

 private:
  [[noreturn]] static void no(const std::string& reason) {
    throw abi::Failure(abi::StatusCode::unsupported, reason);
  }
  static void require(bool holds, const char* reason) {
    if (!holds) no(reason);
  }
  static const Tensor& tensor(const abi::Graph& graph, std::span<const uint32_t> ids, size_t i) {
    require(ids[i] < graph.tensors.size(), "a tensor index outside the graph");
    return graph.tensors[ids[i]];
  }
  const Tensor& in(size_t i) const { return tensor(graph_, node_.in, i); }
  const Tensor& out() const { return tensor(graph_, node_.out, 0); }

  void counts(size_t least, size_t most, size_t outputs) const {
    require(node_.in.size() >= least && node_.in.size() <= most, "the number of inputs");
    require(node_.out.size() == outputs, "the number of outputs");
  }
  static void activation(const Tensor& t) {
    require(t.kind == TensorKind::scratch, "an activation that is not scratch");
    require(t.dtype == DType::f32, "an activation that is not f32");
    require(t.rank >= 2 && t.rank <= 4, "an activation of a rank other than 2 to 4");
  }
  // Two activations of the same rows; their widths are compared where they must be equal.
  static void same_rows(const Tensor& a, const Tensor& b) {
    require(a.dim[0] == b.dim[0], "a different number of rows in and out");
  }
  static void order(const Tensor& t, uint64_t width) {
    require(t.kind == TensorKind::constant && t.dtype == DType::i32, "an order that is not i32");
    require(t.rank == 1 && t.dim[0] == width, "an order of another length than the row");
  }
  static void vector(const Tensor& t, uint64_t width) {
    require(t.kind == TensorKind::constant && t.dtype == DType::f32, "a vector that is not f32");
    require(t.rank == 1 && t.dim[0] == width, "a vector of another length than the row");
  }
  static void cache(const Tensor& t) {
    require(t.kind == TensorKind::cache && t.rank == 4 && t.dim[1] == abi::kPageTokens &&
                t.dim[2] && t.dim[3],
            "a cache that is not (pages, 256, kv_heads, head_dim)");
    head_dim(t.dim[3]);
    require(t.dtype == DType::f16 || t.dtype == DType::f32 || t.dtype == DType::i8,
            "a cache that is not f16, f32 or i8");
  }
  static void head_dim(uint32_t dim) {
    require(dim % 2 == 0, "an odd head dimension");
    require(dim <= kMostHeadDim, "a head dimension beyond 512");
  }
  static void same_heads(const Tensor& a, const Tensor& b) {
    require(a.dim[2] == b.dim[2] && a.dim[3] == b.dim[3], "keys and values of different heads");
  }

  void embed() const {
    counts(1, 1, 1);
    activation(out());
    const Tensor& table = in(0);
    require(table.kind == TensorKind::weight && table.rank == 2 && table.dim[1] == row_width(out()),
            "a table that is not (vocabulary, row width)");
    require(table.dtype == DType::f32 || table.dtype == DType::f16 || table.dtype == DType::bf16,
            "a table that is not f32, f16 or bf16");
  }
  void rms_norm() const {
    counts(2, 3, 1);
    activation(in(0));
    activation(out());
    same_rows(in(0), out());
    require(row_width(in(0)) == row_width(out()), "different widths in and out");
    vector(in(1), row_width(in(0)));
    if (node_.in.size() == 3) order(in(2), row_width(in(0)));
  }
  void matmul() const {
    counts(2, 3, 1);
    activation(in(0));
    activation(out());
    same_rows(in(0), out());
    const Tensor& w = in(1);
    require(w.kind == TensorKind::weight && w.rank == 2 && w.dim[0] == row_width(in(0)) &&
                w.dim[1] == row_width(out()),
            "a weight that is not (width in, width out)");
    if (w.dtype == DType::gptq)
      require(w.bits == 2 || w.bits == 3 || w.bits == 4 || w.bits == 8,
              "codes that are not of 2, 3, 4 or 8 bits");
    else
      require(w.dtype == DType::f32 || w.dtype == DType::f16 || w.dtype == DType::bf16,
              "a weight that is not f32, f16, bf16 or gptq");
    if (node_.in.size() == 3) vector(in(2), row_width(out()));
  }
  void rope() const {
    counts(1, 1, 1);
    activation(in(0));
    activation(out());
    require(in(0).dim[0] == abi::kRows && out().dim[0] == abi::kRows,
            "rows that are not the step's");
    require(in(0).rank == 3 && row_width(in(0)) == row_width(out()), "x that is not (R, heads, d)");
    head_dim(in(0).dim[2]);
  }
  void kv_append() const {
    counts(4, 4, 0);
    for (size_t i = 0; i < 2; ++i) {
      activation(in(i));
      cache(in(i + 2));
      require(in(i).dim[0] == abi::kRows, "rows that are not the step's");
      require(row_width(in(i)) == uint64_t{in(i + 2).dim[2]} * in(i + 2).dim[3],
              "a row that is not kv_heads x head_dim of its cache");
    }
    same_heads(in(2), in(3));
  }
  void attention() const {
    counts(3, 4, 1);
    activation(in(0));
    activation(out());
    cache(in(1));
    cache(in(2));
    same_heads(in(1), in(2));
    require(in(0).dim[0] == abi::kRows && out().dim[0] == abi::kRows,
            "rows that are not the step's");
    const uint64_t width = row_width(in(0));
    require(width == row_width(out()), "different widths in and out");
    require(width % (uint64_t{in(1).dim[2]} * in(1).dim[3]) == 0,
            "queries that are not a multiple of kv_heads x head_dim");
    if (node_.in.size() == 4) order(in(3), width);
  }
  void elementwise() const {
    counts(2, 2, 1);
    for (size_t i = 0; i < 2; ++i) {
      activation(in(i));
      same_rows(in(i), out());
      require(row_width(in(i)) == row_width(out()), "different widths in and out");
    }
    activation(out());
  }
  void permute() const {
    counts(2, 2, 1);
    activation(in(0));
    activation(out());
    same_rows(in(0), out());
    require(row_width(in(0)) == row_width(out()), "different widths in and out");
    order(in(1), row_width(out()));
  }
  void select() const {
    counts(1, 1, 1);
    activation(in(0));
    activation(out());
    require(in(0).dim[0] == abi::kRows && out().dim[0] == abi::kWanted,
            "rows that are not the step's, or an output that is not the wanted rows");
    require(row_width(in(0)) == row_width(out()), "different widths in and out");
  }

  const abi::Graph& graph_;
  const abi::Node& node_;
};

}  // namespace

uint64_t row_width(const abi::Tensor& tensor) {
  uint64_t width = 1;
  for (uint32_t i = 1; i < tensor.rank && i < 4; ++i) width *= tensor.dim[i];
  return width;
}

std::string refusal(const abi::Graph& graph, const abi::Node& node) {
  try {
    Check(graph, node).run();
    return "";
  } catch (const abi::Failure& failure) {
    return failure.what();
  }
}

void claim_all(const abi::Graph& graph, abi::ClaimSink& sink) {
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const std::string reason = refusal(graph, graph.nodes[i]);
    if (reason.empty())
      sink.claim({{&i, 1}, {}, 0.0f});
    else
      sink.refuse(i, reason);
  }
}

}  // namespace ropewalk::cpu
