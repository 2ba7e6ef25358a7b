// The rules of core/graph/ops.md and core/abi/weight.h for a graph and a weight.
#include "core/graph/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "tests/graph/small_graphs.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::kRows;
using abi::kWanted;
using abi::Op;
using abi::TensorKind;

std::string complaint(const std::function<void()>& body) {
  try {
    body();
    return "";
  } catch (const std::logic_error& error) {
    return error.what();
  }
}

// Every op once, as a small decoder has it: H = 8, one head of 4 and its pair, N = 6, V = 10.
struct Decoder {
  Graph graph;
  TensorId table, x, norm_weight, normed, by, permuted, w, bias, q, k, cache, rotated, seen, up,
      product, sum, last, a, b, ranks, vectors, changed;

  TensorId tensor(const std::string& name, TensorKind kind, DType dtype,
                  std::vector<uint32_t> dims) {
    GraphTensor made;
    made.name = name;
    made.kind = kind;
    made.dtype = dtype;
    made.dims = std::move(dims);
    made.bits = dtype == DType::gptq ? 4 : 0;
    return graph.add_tensor(std::move(made));
  }
  TensorId activation(const std::string& name, std::vector<uint32_t> dims) {
    return tensor(name, TensorKind::scratch, DType::f32, std::move(dims));
  }

  Decoder() {
    table = tensor("table", TensorKind::weight, DType::f16, {10, 8});
    x = activation("x", {kRows, 8});
    norm_weight = tensor("norm.weight", TensorKind::constant, DType::f32, {8});
    normed = activation("normed", {kRows, 8});
    by = tensor("order", TensorKind::constant, DType::i32, {8});
    permuted = activation("permuted", {kRows, 8});
    w = tensor("w", TensorKind::weight, DType::gptq, {8, 8});
    bias = tensor("bias", TensorKind::constant, DType::f32, {8});
    q = activation("q", {kRows, 2, 4});
    k = activation("k", {kRows, 1, 4});
    cache = tensor("cache", TensorKind::cache, DType::f16, {3, 128, 1, 4});
    rotated = activation("rotated", {kRows, 2, 4});
    seen = activation("seen", {kRows, 8});
    up = activation("up", {kRows, 8});
    product = activation("product", {kRows, 8});
    sum = activation("sum", {kRows, 8});
    last = activation("last", {kWanted, 8});
    a = tensor("a", TensorKind::adapter, DType::f16, {2, 8, 64});
    b = tensor("b", TensorKind::adapter, DType::f16, {2, 64, 8});
    ranks = tensor("ranks", TensorKind::adapter, DType::i32, {2});
    vectors = tensor("vectors", TensorKind::adapter, DType::f32, {2, 2, 8});
    changed = activation("changed", {kRows, 2, 4});
    graph.add_node({"embed", Op::embed, {table}, {x}, abi::EmbedParams{}});
    graph.add_node({"norm", Op::rms_norm, {x, norm_weight, by}, {normed}, abi::NormParams{}});
    graph.add_node({"permute", Op::permute, {normed, by}, {permuted}});
    graph.add_node({"matmul", Op::matmul, {permuted, w, bias}, {q}});
    graph.add_node({"low_rank", Op::low_rank, {permuted, q, a, b, ranks, vectors}, {changed}});
    graph.add_node({"rope", Op::rope, {q}, {rotated}, abi::RopeParams{}});
    graph.add_node({"append", Op::kv_append, {k, k, cache, cache}, {}});
    graph.add_node(
        {"attention", Op::attention, {rotated, cache, cache, by}, {seen}, abi::AttentionParams{}});
    graph.add_node({"silu", Op::silu_mul, {seen, up}, {product}});
    graph.add_node({"add", Op::add, {product, x}, {sum}, abi::AddParams{}});
    graph.add_node({"select", Op::select, {sum}, {last}});
  }
  GraphNode& node(std::string_view name) {
    return *std::find_if(graph.nodes.begin(), graph.nodes.end(),
                         [&](const GraphNode& n) { return n.name == name; });
  }
  std::vector<uint32_t>& dims(TensorId id) { return graph.tensors[id].dims; }
  DType& dtype(TensorId id) { return graph.tensors[id].dtype; }
};

struct BadGraph {
  const char* name;
  std::function<void(Decoder&)> spoil;
  const char* message;
};

const BadGraph kBadGraphs[] = {
    {"absent_tensor", [](Decoder& d) { d.node("add").in[1] = 99; },
     "graph: add (add) has a tensor that does not exist"},
    {"inputs", [](Decoder& d) { d.node("matmul").in.resize(1); },
     "graph: matmul (matmul) has the wrong number of inputs"},
    {"outputs", [](Decoder& d) { d.node("append").out = {d.x}; },
     "graph: append (kv_append) has the wrong number of outputs"},
    {"no_params", [](Decoder& d) { d.node("rope").params = {}; },
     "graph: rope (rope) has the params of another op"},
    {"params_of_another_op", [](Decoder& d) { d.node("norm").params = abi::RopeParams{}; },
     "graph: norm (rms_norm) has the params of another op"},
    {"params_of_an_op_without", [](Decoder& d) { d.node("add").params = abi::NormParams{}; },
     "graph: add (add) has the params of another op"},
    {"soft_cap",
     [](Decoder& d) { d.node("attention").params = abi::AttentionParams{.soft_cap = -1}; },
     "graph: attention (attention) has a soft cap below 0"},
    {"unknown_op", [](Decoder& d) { d.node("add").op = Op{77}; },
     "graph: add (unknown) has an op that ops.md does not know"},
    {"activation_type", [](Decoder& d) { d.dtype(d.up) = DType::bf16; },
     "graph: silu (silu_mul) has an activation that is not scratch of f32 or f16"},
    {"activation_rank", [](Decoder& d) { d.dims(d.up) = {kRows}; },
     "graph: silu (silu_mul) has an activation of a rank other than 2 to 4"},
    {"fixed_rows", [](Decoder& d) { d.dims(d.up)[0] = 7; },
     "graph: silu (silu_mul) has rows that are not the step's"},
    {"rows_differ", [](Decoder& d) { d.dims(d.up)[0] = kWanted; },
     "graph: silu (silu_mul) has a different number of rows in and out"},
    {"widths_differ", [](Decoder& d) { d.dims(d.up)[1] = 6; },
     "graph: silu (silu_mul) has different widths in and out"},
    {"table_width", [](Decoder& d) { d.dims(d.table)[1] = 9; },
     "graph: embed (embed) has a table that is not (vocabulary, row width)"},
    {"table_type", [](Decoder& d) { d.dtype(d.table) = DType::gptq; },
     "graph: embed (embed) has a table that is not f32, f16 or bf16"},
    {"norm_length", [](Decoder& d) { d.dims(d.norm_weight)[0] = 7; },
     "graph: norm (rms_norm) has a weight whose length does not divide the row"},
    {"norm_order", [](Decoder& d) { d.dims(d.norm_weight)[0] = 4; },
     "graph: norm (rms_norm) has an order of runs shorter than the row"},
    {"order_type", [](Decoder& d) { d.dtype(d.by) = DType::f32; },
     "graph: norm (rms_norm) has a constant of the wrong type"},
    {"weight_shape",
     [](Decoder& d) {
       d.dims(d.w) = {8, 6};
     },
     "graph: matmul (matmul) has a weight that is not (width in, width out)"},
    {"weight_bits", [](Decoder& d) { d.graph.tensors[d.w].bits = 5; },
     "graph: matmul (matmul) has codes that are not of 2, 3, 4 or 8 bits"},
    {"weight_type", [](Decoder& d) { d.dtype(d.w) = DType::i8; },
     "graph: matmul (matmul) has a weight that is not f32, f16, bf16 or gptq"},
    {"bias_length", [](Decoder& d) { d.dims(d.bias)[0] = 7; },
     "graph: matmul (matmul) has a constant that is not as long as the row"},
    {"adapter_type", [](Decoder& d) { d.dtype(d.a) = DType::f32; },
     "graph: low_rank (low_rank) has matrices of adapters that are not (slots, rows, columns) f16"},
    {"adapter_ranks", [](Decoder& d) { d.dtype(d.ranks) = DType::f32; },
     "graph: low_rank (low_rank) has ranks that are not (slots) i32"},
    {"adapter_slots", [](Decoder& d) { d.dims(d.b)[0] = 3; },
     "graph: low_rank (low_rank) has different numbers of slots"},
    {"adapter_cap",
     [](Decoder& d) {
       d.dims(d.a)[2] = 48;
       d.dims(d.b)[1] = 48;
     },
     "graph: low_rank (low_rank) has ranks that are no multiple of 32 up to 512"},
    {"adapter_depth", [](Decoder& d) { d.dims(d.a)[1] = 9; },
     "graph: low_rank (low_rank) has matrices that do not fit the widths in and out"},
    {"adapter_width", [](Decoder& d) { d.dims(d.b)[2] = 10; },
     "graph: low_rank (low_rank) has matrices that do not fit the widths in and out"},
    {"adapter_vectors", [](Decoder& d) { d.dims(d.vectors)[2] = 9; },
     "graph: low_rank (low_rank) has vectors of adapters that are not (slots, 2, width out) f32"},
    {"adapter_vectors_type", [](Decoder& d) { d.dtype(d.vectors) = DType::f16; },
     "graph: low_rank (low_rank) has vectors of adapters that are not (slots, 2, width out) f32"},
    {"adapter_vectors_slots", [](Decoder& d) { d.dims(d.vectors)[0] = 3; },
     "graph: low_rank (low_rank) has vectors of adapters that are not (slots, 2, width out) f32"},
    {"adapter_vectors_kind",
     [](Decoder& d) { d.graph.tensors[d.vectors].kind = TensorKind::constant; },
     "graph: low_rank (low_rank) has vectors of adapters that are not (slots, 2, width out) f32"},
    {"adapter_vectors_missing_one",
     [](Decoder& d) {
       d.dims(d.vectors) = {d.dims(d.ranks)[0], d.dims(d.vectors)[2]};
     },
     "graph: low_rank (low_rank) has vectors of adapters that are not (slots, 2, width out) f32"},
    {"rope_rank",
     [](Decoder& d) {
       d.dims(d.q) = {kRows, 8};
     },
     "graph: rope (rope) has x that is not (R, heads, d)"},
    {"odd_head",
     [](Decoder& d) {
       d.dims(d.q) = {kRows, 8, 1};
     },
     "graph: rope (rope) has an odd head dimension"},
    {"page_size", [](Decoder& d) { d.dims(d.cache)[1] = 100; },
     "graph: append (kv_append) has a cache whose pages do not have 32, 64, 128 or 256 tokens"},
    {"page_sizes_differ",
     [](Decoder& d) {
       const TensorId other = d.tensor("other", TensorKind::cache, DType::f16, {3, 64, 1, 4});
       d.node("attention").in = {d.rotated, other, other};
     },
     "graph: attention (attention) has a cache whose pages have another size than the first's"},
    {"cache_rank", [](Decoder& d) { d.dims(d.cache).pop_back(); },
     "graph: append (kv_append) has a cache that is not (pages, tokens, kv_heads, head_dim)"},
    {"cache_type", [](Decoder& d) { d.dtype(d.cache) = DType::bf16; },
     "graph: append (kv_append) has a cache that is not f16, f32 or i8"},
    {"key_width", [](Decoder& d) { d.dims(d.k)[1] = 2; },
     "graph: append (kv_append) has a row that is not kv_heads x head_dim of its cache"},
    {"caches_differ",
     [](Decoder& d) {
       d.node("attention").in[2] = d.tensor("other", TensorKind::cache, DType::i8, {3, 128, 1, 4});
     },
     "graph: attention (attention) has keys and values of different shapes or types"},
    {"query_heads",
     [](Decoder& d) {
       const TensorId other = d.tensor("other", TensorKind::cache, DType::f16, {3, 128, 3, 2});
       d.node("attention").in = {d.rotated, other, other};
     },
     "graph: attention (attention) has queries that are not a multiple of kv_heads x head_dim"},
    {"wanted", [](Decoder& d) { d.dims(d.last)[0] = kRows; },
     "graph: select (select) has an output that is not the wanted rows"},
};

TEST(CheckGraph, TakesEveryOpAsOpsMdHasIt) {
  const Decoder decoder;
  EXPECT_EQ(complaint([&] { check_graph(decoder.graph); }), "");
}

TEST(CheckGraph, NamesTheNodeAndTheRule) {
  for (const BadGraph& bad : kBadGraphs) {
    Decoder decoder;
    bad.spoil(decoder);
    EXPECT_EQ(complaint([&] { check_graph(decoder.graph); }), bad.message) << bad.name;
  }
}

// A 4-bit weight (16, 8) with groups of 8, and its parts.
struct Gptq {
  std::vector<uint32_t> qweight = std::vector<uint32_t>(2 * 8), qzeros = std::vector<uint32_t>(2);
  std::vector<std::byte> scales = std::vector<std::byte>(2 * 8 * 2);
  std::vector<uint32_t> row_order, column_order;
  abi::Weight weight;

  abi::Weight view() {
    weight.qweight = qweight;
    weight.qzeros = qzeros;
    weight.scales = scales;
    weight.row_order = row_order;
    weight.column_order = column_order;
    return weight;
  }
  Gptq() {
    weight.dtype = DType::gptq;
    weight.rows = 16;
    weight.cols = 8;
    weight.bits = 4;
    weight.group_size = 8;
    for (uint32_t i = 0; i < 16; ++i) row_order.push_back(15 - i);
    for (uint32_t i = 0; i < 8; ++i) column_order.push_back(7 - i);
  }
};

struct BadWeight {
  std::function<void(Gptq&)> spoil;
  const char* rule;
};

const BadWeight kBadWeights[] = {
    {[](Gptq& w) { w.weight.cols = 0; }, "a size of zero"},
    {[](Gptq& w) { w.row_order.pop_back(); }, "a row order that is not a permutation of its rows"},
    {[](Gptq& w) { w.row_order[3] = 16; }, "a row order that is not a permutation of its rows"},
    {[](Gptq& w) { w.column_order[3] = 0; },
     "a column order that is not a permutation of its columns"},
    {[](Gptq& w) { w.weight.use = abi::WeightUse::embed; }, "an embedding table that is not dense"},
    {[](Gptq& w) { w.weight.bits = 5; }, "codes that are not of 2, 3, 4 or 8 bits"},
    {[](Gptq& w) { w.weight.group_size = 0; }, "a group size outside 1 to rows"},
    {[](Gptq& w) { w.weight.group_size = 17; }, "a group size outside 1 to rows"},
    {[](Gptq& w) { w.weight.zero_offset = 2; }, "a zero offset that is not 0 or 1"},
    {[](Gptq& w) { w.weight.scale_dtype = DType::bf16; }, "scales that are not f16 or f32"},
    {[](Gptq& w) { w.qweight.pop_back(); }, "a qweight shorter than its shape"},
    {[](Gptq& w) { w.qzeros.pop_back(); }, "a qzeros shorter than its shape"},
    {[](Gptq& w) { w.scales.pop_back(); }, "scales shorter than their shape"},
};

TEST(CheckWeight, TakesWhatIsWhole) {
  Gptq gptq;
  EXPECT_EQ(complaint([&] { check_weight("w", gptq.view()); }), "");
}

TEST(CheckWeight, NamesTheWeightAndTheRule) {
  for (const BadWeight& bad : kBadWeights) {
    Gptq gptq;
    bad.spoil(gptq);
    EXPECT_EQ(complaint([&] { check_weight("w", gptq.view()); }),
              std::string("weight: w has ") + bad.rule);
  }
}

TEST(CheckWeight, DenseHasItsElementsAndATableNoOrder) {
  std::vector<std::byte> elements(4 * 3 * 2);
  std::vector<uint32_t> order = {1, 0, 2};
  abi::Weight weight;
  weight.rows = 4;
  weight.cols = 3;
  weight.dense = elements;
  const auto answer = [&] { return complaint([&] { check_weight("w", weight); }); };
  EXPECT_EQ(answer(), "");
  weight.column_order = order;
  EXPECT_EQ(answer(), "");
  weight.use = abi::WeightUse::embed;
  EXPECT_EQ(answer(), "weight: w has an order, which an embedding table cannot have");
  weight.column_order = {};
  weight.dtype = DType::f32;
  EXPECT_EQ(answer(), "weight: w has fewer elements than rows x cols");
  weight.dtype = DType::i32;
  EXPECT_EQ(answer(), "weight: w has elements that are not f32, f16, bf16 or gptq");
}

}  // namespace
}  // namespace ropewalk::test
