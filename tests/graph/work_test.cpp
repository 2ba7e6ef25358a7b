#include "core/graph/work.h"

#include <gtest/gtest.h>

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::Op;
using abi::TensorKind;

TensorId add(Graph& graph, TensorKind kind, DType dtype, std::vector<uint32_t> dims,
             uint64_t bytes) {
  GraphTensor tensor;
  tensor.kind = kind;
  tensor.dtype = dtype;
  tensor.dims = std::move(dims);
  tensor.bits = 4;
  tensor.group_size = 32;
  tensor.at.bytes = bytes;
  return graph.add_tensor(std::move(tensor));
}

// One layer of 3 heads of 64 after a GPTQ matmul (160 x 192), then an f16 head (192 x 1000).
Graph small() {
  Graph graph;
  const auto scratch = [&](std::vector<uint32_t> dims) {
    return add(graph, TensorKind::scratch, DType::f32, std::move(dims), 0);
  };
  const TensorId x = scratch({abi::kRows, 160}), q = scratch({abi::kRows, 3, 64});
  const TensorId y = scratch({abi::kRows, 192}), last = scratch({abi::kWanted, 192});
  const TensorId logits = scratch({abi::kWanted, 1000});
  const TensorId w = add(graph, TensorKind::weight, DType::gptq, {160, 192}, 20'000);
  const TensorId head = add(graph, TensorKind::weight, DType::f16, {192, 1000}, 400'000);
  const TensorId keys = add(graph, TensorKind::cache, DType::f16, {2, 256, 3, 64}, 196'608);
  const TensorId values = add(graph, TensorKind::cache, DType::f16, {2, 256, 3, 64}, 196'608);
  const TensorId table = add(graph, TensorKind::weight, DType::f16, {1000, 160}, 999'999);
  graph.add_node({"embed", Op::embed, {table}, {x}});
  graph.add_node({"q", Op::matmul, {x, w}, {q}});
  graph.add_node({"attention", Op::attention, {q, keys, values}, {y}});
  graph.add_node({"select", Op::select, {y}, {last}});
  graph.add_node({"head", Op::matmul, {last, head}, {logits}});
  return graph;
}

TEST(Work, FlopOfRowsLogitsAndPairs) {
  EXPECT_EQ(flop_of(small(), {.rows = 1}), 2.0 * 160 * 192);
  EXPECT_EQ(flop_of(small(), {.wanted = 1}), 2.0 * 192 * 1000);
  EXPECT_EQ(flop_of(small(), {.pairs = 1}), 4.0 * 3 * 64);
  // A prompt of 10 tokens: 55 pairs.
  EXPECT_EQ(flop_of(small(), {.rows = 10, .wanted = 1, .pairs = 55}),
            10 * 61'440.0 + 384'000 + 55 * 768);
}

// Five groups of 32 rows: 160 * 192 codes of 4 bits, 5 * 192 scales of 16 and zeros of 4.
TEST(Work, BytesOfWhatIsMultiplied) {
  EXPECT_EQ(stored_weight_bytes(small()), 15'360u + 1'920 + 480 + 384'000);
  EXPECT_EQ(packed_weight_bytes(small()), 420'000u);
}

TEST(Work, AShortGroupHasAScaleOfItsOwn) {
  Graph graph = small();
  for (GraphTensor& tensor : graph.tensors) tensor.group_size = 128;  // 128 and 32 rows
  EXPECT_EQ(stored_weight_bytes(graph), 15'360u + 768 + 192 + 384'000);
}

// The node of each op of small(), by itself: a table's rows that are looked up, x (R, 160) or
// (R, 192) in f32, packed weights whole, keys and values in f16.
TEST(Work, BytesThatAGroupMoves) {
  const Graph graph = small();
  const StepSize size{.rows = 3, .wanted = 1, .keys = 100};
  const auto moved = [&](std::vector<uint32_t> nodes, std::vector<uint32_t> hidden) {
    return bytes_of_group(graph, {std::move(nodes), std::move(hidden)}, size);
  };
  EXPECT_EQ(moved({0}, {}), 3 * 160 * 2 + 3 * 160 * 4);
  EXPECT_EQ(moved({1}, {}), 20'000 + 3 * 160 * 4 + 3 * 192 * 4);
  EXPECT_EQ(moved({2}, {}), 2 * 100 * 192 * 2 + 2 * 3 * 192 * 4);
  EXPECT_EQ(moved({3}, {}), 3 * 192 * 4 + 192 * 4);
  EXPECT_EQ(moved({4}, {}), 400'000 + 192 * 4 + 1000 * 4);
  // Fused: what is hidden is neither written nor read, what stays is written and not read again.
  const uint32_t x = graph.nodes[0].out[0];
  EXPECT_EQ(moved({0, 1}, {}), 3 * 160 * 2 + 3 * 160 * 4 + 20'000 + 3 * 192 * 4);
  EXPECT_EQ(moved({0, 1}, {x}), 3 * 160 * 2 + 20'000 + 3 * 192 * 4);
}

TEST(Work, FlopOfAGroup) {
  const Graph graph = small();
  const StepSize size{.rows = 10, .wanted = 1, .pairs = 55};
  EXPECT_EQ(flop_of_group(graph, {{0}, {}}, size), 0);
  EXPECT_EQ(flop_of_group(graph, {{0, 1}, {}}, size), 10 * 61'440.0);
  EXPECT_EQ(flop_of_group(graph, {{2, 3, 4}, {}}, size), 55 * 768.0 + 384'000);
}

// Keys and values, 3 heads of 64 in f16.
TEST(Work, BytesOfATokenInTheCache) { EXPECT_EQ(cache_bytes_per_token(small()), 2u * 3 * 64 * 2); }

}  // namespace
}  // namespace ropewalk::test
