#include "core/graph/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <variant>

#include "core/abi/kv_page.h"
#include "core/abi/operands.h"

namespace ropewalk {
namespace {

using abi::DType;
using abi::kRows;
using abi::kWanted;
using abi::Op;
using abi::TensorKind;
using abi::WeightUse;

constexpr uint32_t kMaxAdapterRank = 512;

struct Broken {
  const char* rule;
};

void require(bool holds, const char* rule) {
  if (!holds) throw Broken{rule};
}

bool is_dense(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

// The product of the dimensions after the first.
uint64_t width(const GraphTensor& tensor) {
  uint64_t product = 1;
  for (size_t i = 1; i < tensor.dims.size(); ++i) product *= tensor.dims[i];
  return product;
}

// Checks one node; throws the first rule that it breaks.
class NodeCheck {
 public:
  NodeCheck(const Graph& graph, const GraphNode& node) : graph_(graph), node_(node) {}

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
      case Op::gelu_mul:
        takes<std::monostate>(2, 2, 1);
        return rows_of_equal_width(2);
      case Op::add:
        takes<abi::AddParams>(2, 2, 1);
        return rows_of_equal_width(2);
      case Op::permute:
        takes<std::monostate>(2, 2, 1);
        rows_of_equal_width(1);
        return constant(in(1), DType::i32, width(out()));
      case Op::select:
        return select();
      case Op::low_rank:
        return low_rank();
    }
    throw Broken{"an op that ops.md does not know"};
  }

 private:
  const GraphTensor& tensor(const std::vector<TensorId>& ids, size_t i) const {
    require(i < ids.size() && ids[i] < graph_.tensors.size(), "a tensor that does not exist");
    return graph_.tensors[ids[i]];
  }
  const GraphTensor& in(size_t i) const { return tensor(node_.in, i); }
  const GraphTensor& out() const { return tensor(node_.out, 0); }

  // `min` to `max` inputs, `outputs` outputs and Params, which are returned.
  template <class Params>
  const Params& takes(size_t min, size_t max, size_t outputs) const {
    require(node_.in.size() >= min && node_.in.size() <= max, "the wrong number of inputs");
    require(node_.out.size() == outputs, "the wrong number of outputs");
    const auto* params = std::get_if<Params>(&node_.params);
    require(params, "the params of another op");
    return *params;
  }
  static void activation(const GraphTensor& t) {
    require(t.kind == TensorKind::scratch && (t.dtype == DType::f32 || t.dtype == DType::f16),
            "an activation that is not scratch of f32 or f16");
    require(t.dims.size() >= 2 && t.dims.size() <= 4, "an activation of a rank other than 2 to 4");
    require(t.dims[0] == kRows || t.dims[0] == kWanted, "rows that are not the step's");
  }
  static void step_rows(const GraphTensor& t) {
    activation(t);
    require(t.dims[0] == kRows, "rows that are not the step's");
  }
  // The first `activations` inputs have the output's rows and width.
  void rows_of_equal_width(size_t activations) const {
    activation(out());
    for (size_t i = 0; i < activations; ++i) {
      activation(in(i));
      require(in(i).dims[0] == out().dims[0], "a different number of rows in and out");
      require(width(in(i)) == width(out()), "different widths in and out");
    }
  }
  static void constant(const GraphTensor& t, DType dtype, uint64_t length) {
    require(t.kind == TensorKind::constant && t.dtype == dtype, "a constant of the wrong type");
    require(t.dims.size() == 1 && t.dims[0] == length, "a constant that is not as long as the row");
  }
  void cache(const GraphTensor& t) const {
    require(t.kind == TensorKind::cache && t.dims.size() == 4 && t.dims[2] && t.dims[3],
            "a cache that is not (pages, tokens, kv_heads, head_dim)");
    require(abi::is_page_size(t.dims[1]),
            "a cache whose pages do not have 32, 64, 128 or 256 tokens");
    const auto first = std::ranges::find(graph_.tensors, TensorKind::cache, &GraphTensor::kind);
    require(t.dims[1] == first->dims[1], "a cache whose pages have another size than the first's");
    require(t.dims[3] % 2 == 0, "an odd head dimension");
    require(t.dtype == DType::f16 || t.dtype == DType::f32 || t.dtype == DType::i8,
            "a cache that is not f16, f32 or i8");
  }
  void caches(const GraphTensor& keys, const GraphTensor& values) const {
    cache(keys);
    cache(values);
    require(keys.dims == values.dims && keys.dtype == values.dtype,
            "keys and values of different shapes or types");
  }

  void embed() const {
    takes<abi::EmbedParams>(1, 1, 1);
    step_rows(out());
    const GraphTensor& table = in(0);
    require(
        table.kind == TensorKind::weight && table.dims.size() == 2 && table.dims[1] == width(out()),
        "a table that is not (vocabulary, row width)");
    require(is_dense(table.dtype), "a table that is not f32, f16 or bf16");
  }
  void rms_norm() const {
    takes<abi::NormParams>(2, 3, 1);
    rows_of_equal_width(1);
    const uint64_t row = width(in(0));
    require(in(1).dims.size() == 1 && in(1).dims[0] && row % in(1).dims[0] == 0,
            "a weight whose length does not divide the row");
    const uint64_t run = in(1).dims[0];
    constant(in(1), DType::f32, run);
    if (node_.in.size() < 3) return;
    require(run == row, "an order of runs shorter than the row");
    constant(in(2), DType::i32, row);
  }
  void matmul() const {
    takes<std::monostate>(2, 3, 1);
    activation(in(0));
    activation(out());
    require(in(0).dims[0] == out().dims[0], "a different number of rows in and out");
    const GraphTensor& w = in(1);
    require(w.kind == TensorKind::weight && w.dims.size() == 2 && w.dims[0] == width(in(0)) &&
                w.dims[1] == width(out()),
            "a weight that is not (width in, width out)");
    if (w.dtype == DType::gptq)
      require(w.bits == 2 || w.bits == 3 || w.bits == 4 || w.bits == 8,
              "codes that are not of 2, 3, 4 or 8 bits");
    else
      require(is_dense(w.dtype), "a weight that is not f32, f16, bf16 or gptq");
    if (node_.in.size() == 3) constant(in(2), DType::f32, width(out()));
  }
  void rope() const {
    takes<abi::RopeParams>(1, 1, 1);
    step_rows(out());
    rows_of_equal_width(1);
    require(in(0).dims.size() == 3, "x that is not (R, heads, d)");
    require(in(0).dims[2] % 2 == 0, "an odd head dimension");
  }
  void kv_append() const {
    takes<std::monostate>(4, 4, 0);
    caches(in(2), in(3));
    for (size_t i = 0; i < 2; ++i) {
      step_rows(in(i));
      require(width(in(i)) == width(in(2)) / in(2).dims[1],
              "a row that is not kv_heads x head_dim of its cache");
    }
  }
  void attention() const {
    const auto& params = takes<abi::AttentionParams>(3, 4, 1);
    require(params.soft_cap >= 0, "a soft cap below 0");
    caches(in(1), in(2));
    step_rows(out());
    rows_of_equal_width(1);
    require(width(in(0)) % (width(in(1)) / in(1).dims[1]) == 0,
            "queries that are not a multiple of kv_heads x head_dim");
    if (node_.in.size() == 4) constant(in(3), DType::i32, width(in(0)));
  }
  void select() const {
    takes<std::monostate>(1, 1, 1);
    step_rows(in(0));
    activation(out());
    require(out().dims[0] == kWanted, "an output that is not the wanted rows");
    require(width(in(0)) == width(out()), "different widths in and out");
  }

  void low_rank() const {
    takes<std::monostate>(5, 6, 1);
    activation(in(0));
    activation(out());
    activation(in(1));
    require(in(0).dims[0] == out().dims[0] && in(1).dims[0] == out().dims[0],
            "a different number of rows in and out");
    require(width(in(1)) == width(out()), "different widths in and out");
    const GraphTensor &a = in(2), &b = in(3), &ranks = in(4);
    for (const GraphTensor* t : {&a, &b})
      require(t->kind == TensorKind::adapter && t->dtype == DType::f16 && t->dims.size() == 3,
              "matrices of adapters that are not (slots, rows, columns) f16");
    require(
        ranks.kind == TensorKind::adapter && ranks.dtype == DType::i32 && ranks.dims.size() == 1,
        "ranks that are not (slots) i32");
    require(ranks.dims[0] && a.dims[0] == ranks.dims[0] && b.dims[0] == ranks.dims[0],
            "different numbers of slots");
    require(
        a.dims[2] % 32 == 0 && a.dims[2] && a.dims[2] <= kMaxAdapterRank && a.dims[2] == b.dims[1],
        "ranks that are no multiple of 32 up to 512");
    require(a.dims[1] == width(in(0)) && b.dims[2] == (width(out()) + 1) / 2 * 2,
            "matrices that do not fit the widths in and out");
    if (node_.in.size() < 6) return;
    const GraphTensor& vectors = in(5);
    require(vectors.kind == TensorKind::adapter && vectors.dtype == DType::f32 &&
                vectors.dims.size() == 3 && vectors.dims[0] == ranks.dims[0] &&
                vectors.dims[1] == 2 && vectors.dims[2] == width(out()),
            "vectors of adapters that are not (slots, 2, width out) f32");
  }

  const Graph& graph_;
  const GraphNode& node_;
};

void permutation(std::span<const uint32_t> order, uint32_t size, const char* rule) {
  if (order.empty()) return;
  require(order.size() == size, rule);
  std::vector<bool> seen(size, false);
  for (const uint32_t index : order) {
    require(index < size && !seen[index], rule);
    seen[index] = true;
  }
}

void gptq_contents(const abi::Weight& w) {
  require(w.use == WeightUse::matmul, "an embedding table that is not dense");
  require(w.bits == 2 || w.bits == 3 || w.bits == 4 || w.bits == 8,
          "codes that are not of 2, 3, 4 or 8 bits");
  require(w.group_size >= 1 && w.group_size <= w.rows, "a group size outside 1 to rows");
  require(w.zero_offset <= 1, "a zero offset that is not 0 or 1");
  require(w.scale_dtype == DType::f16 || w.scale_dtype == DType::f32,
          "scales that are not f16 or f32");
  const uint64_t row_words = (uint64_t{w.rows} * w.bits + 31) / 32;
  const uint64_t column_words = (uint64_t{w.cols} * w.bits + 31) / 32;
  require(w.qweight.size() >= row_words * w.cols, "a qweight shorter than its shape");
  require(w.qzeros.size() >= column_words * w.groups(), "a qzeros shorter than its shape");
  require(w.scales.size() >= uint64_t{w.groups()} * w.cols * element_bytes(w.scale_dtype),
          "scales shorter than their shape");
}

}  // namespace

void check_graph(const Graph& graph) {
  for (const GraphNode& node : graph.nodes) {
    try {
      NodeCheck(graph, node).run();
    } catch (const Broken& broken) {
      throw std::logic_error(
          fmt::format("graph: {} ({}) has {}", node.name, op_name(node.op), broken.rule));
    }
  }
}

void check_weight(std::string_view name, const abi::Weight& w) {
  try {
    require(w.rows && w.cols, "a size of zero");
    require(w.first_column % abi::kPartColumns == 0 && w.first_column < w.whole_cols() &&
                w.cols <= w.whole_cols() - w.first_column,
            "a part outside its columns");
    permutation(w.row_order, w.rows, "a row order that is not a permutation of its rows");
    permutation(w.column_order, w.cols, "a column order that is not a permutation of its columns");
    if (w.dtype == DType::gptq) return gptq_contents(w);
    require(is_dense(w.dtype), "elements that are not f32, f16, bf16 or gptq");
    require(w.dense.size() >= uint64_t{w.rows} * w.cols * element_bytes(w.dtype),
            "fewer elements than rows x cols");
    require(w.use == WeightUse::matmul || (w.row_order.empty() && w.column_order.empty()),
            "an order, which an embedding table cannot have");
  } catch (const Broken& broken) {
    throw std::logic_error(fmt::format("weight: {} has {}", name, broken.rule));
  }
}

}  // namespace ropewalk
