#include "backends/cuda/claim.h"

#include <span>

#include "backends/cuda/ops/ops.h"
#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

using abi::DType;
using abi::Op;
using abi::Tensor;
using abi::TensorKind;

void require(bool holds, const char* reason) {
  if (!holds) throw abi::Failure(abi::StatusCode::unsupported, reason);
}

void require_activation(const Tensor& t) {
  require(t.kind == TensorKind::scratch, "an activation that is not scratch");
  require(t.dtype == DType::f32, "an activation that is not f32");
  require(t.rank >= 2 && t.rank <= 4, "an activation of a rank other than 2 to 4");
}

void require_vector(const Tensor& t, DType dtype, uint64_t width) {
  require(t.kind == TensorKind::constant && t.dtype == dtype, "a vector of another type");
  require(t.rank == 1 && t.dim[0] == width, "a vector of another length than the row");
}

void require_cache(const Tensor& t) {
  require(t.kind == TensorKind::cache && t.rank == 4 && t.dim[1] == abi::kPageTokens && t.dim[2] &&
              t.dim[3],
          "a cache that is not (pages, 256, kv_heads, head_dim)");
  require(t.dtype == DType::f16 || t.dtype == DType::i8, "a cache that is not f16 or i8");
  require(t.dim[3] % 2 == 0, "an odd head dimension");
  require(t.dim[3] <= kMostHeadDim, "a head dimension above 256");
}

// The node's tensors, checked as they are asked for.
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
        return rows_of_equal_width(2, 2);
      case Op::permute:
        rows_of_equal_width(1, 2);
        return require_vector(in(1), DType::i32, row_width(out()));
      case Op::select:
        return select();
    }
    require(false, "an op that this version does not know");
  }

 private:
  const Tensor& tensor(std::span<const uint32_t> ids, size_t i) const {
    require(i < ids.size() && ids[i] < graph_.tensors.size(), "a tensor that is not there");
    return graph_.tensors[ids[i]];
  }
  const Tensor& in(size_t i) const { return tensor(node_.in, i); }
  const Tensor& out() const { return tensor(node_.out, 0); }

  void counts(size_t least, size_t most, size_t outputs) const {
    require(node_.in.size() >= least && node_.in.size() <= most, "the number of inputs");
    require(node_.out.size() == outputs, "the number of outputs");
  }
  // The first `activations` of up to `inputs` inputs have the output's rows and width.
  void rows_of_equal_width(size_t activations, size_t inputs) const {
    counts(activations, inputs, 1);
    require_activation(out());
    for (size_t i = 0; i < activations; ++i) {
      require_activation(in(i));
      require(in(i).dim[0] == out().dim[0], "a different number of rows in and out");
      require(row_width(in(i)) == row_width(out()), "different widths in and out");
    }
  }
  static void step_rows(const Tensor& t) {
    require_activation(t);
    require(t.dim[0] == abi::kRows, "rows that are not the step's");
  }

  void embed() const {
    counts(1, 1, 1);
    step_rows(out());
    const Tensor& table = in(0);
    require(table.kind == TensorKind::weight && table.rank == 2 && table.dim[1] == row_width(out()),
            "a table that is not (vocabulary, row width)");
    require(table.dtype == DType::f32 || table.dtype == DType::f16 || table.dtype == DType::bf16,
            "a table that is not f32, f16 or bf16");
  }
  void rms_norm() const {
    rows_of_equal_width(1, 3);
    require_vector(in(1), DType::f32, row_width(in(0)));
    if (node_.in.size() == 3) require_vector(in(2), DType::i32, row_width(in(0)));
  }
  void matmul() const {
    counts(2, 3, 1);
    require_activation(in(0));
    require_activation(out());
    require(in(0).dim[0] == out().dim[0], "a different number of rows in and out");
    const Tensor& w = in(1);
    require(w.kind == TensorKind::weight && w.rank == 2 && w.dim[0] == row_width(in(0)) &&
                w.dim[1] == row_width(out()),
            "a weight that is not (width in, width out)");
    if (w.dtype == DType::gptq) {
      require(w.group_size && w.group_size <= w.dim[0], "a group size that is not 1 .. rows");
      require(w.bits == 2 || w.bits == 3 || w.bits == 4 || w.bits == 8,
              "codes that are not of 2, 3, 4 or 8 bits");
    } else {
      require(w.dtype == DType::f32 || w.dtype == DType::f16 || w.dtype == DType::bf16,
              "a weight that is not f32, f16, bf16 or gptq");
    }
    if (node_.in.size() == 3) require_vector(in(2), DType::f32, row_width(out()));
  }
  void rope() const {
    rows_of_equal_width(1, 1);
    step_rows(out());
    require(in(0).rank == 3 && in(0).dim[2] % 2 == 0, "x that is not (R, heads, d), or an odd d");
  }
  void kv_append() const {
    counts(4, 4, 0);
    for (size_t i = 0; i < 2; ++i) {
      step_rows(in(i));
      require_cache(in(i + 2));
      require(row_width(in(i)) == uint64_t{in(i + 2).dim[2]} * in(i + 2).dim[3],
              "a row that is not kv_heads x head_dim of its cache");
    }
    same_caches(in(2), in(3));
  }
  void attention() const {
    counts(3, 4, 1);
    step_rows(in(0));
    step_rows(out());
    require_cache(in(1));
    require_cache(in(2));
    same_caches(in(1), in(2));
    const uint64_t width = row_width(in(0));
    require(width == row_width(out()), "different widths in and out");
    require(width % (uint64_t{in(1).dim[2]} * in(1).dim[3]) == 0,
            "queries that are not a multiple of kv_heads x head_dim");
    if (node_.in.size() == 4) require_vector(in(3), DType::i32, width);
  }
  void select() const {
    counts(1, 1, 1);
    step_rows(in(0));
    require_activation(out());
    require(out().dim[0] == abi::kWanted, "an output that is not the wanted rows");
    require(row_width(in(0)) == row_width(out()), "different widths in and out");
  }
  static void same_caches(const Tensor& a, const Tensor& b) {
    require(a.dim[2] == b.dim[2] && a.dim[3] == b.dim[3] && a.dtype == b.dtype,
            "keys and values of different heads or types");
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

}  // namespace ropewalk::cuda
