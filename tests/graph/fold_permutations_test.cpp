// Which permutations fold, which must stay, and what they become. tests/end_to_end compares the
// folded and the unfolded graph on the CPU backend.
#include "core/graph/fold_permutations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/graph/small_graphs.h"

namespace ropewalk::test {
namespace {

using abi::Op;
using testing::ElementsAre;

const std::vector<uint32_t> kA = {2, 0, 3, 1}, kB = {1, 0, 3, 2};

std::vector<Op> ops(const Graph& graph) {
  std::vector<Op> list;
  for (const GraphNode& node : graph.nodes) list.push_back(node.op);
  return list;
}

// A norm of rows of 4, in runs as long as its weight.
struct Normed {
  Graph graph;
  TensorId norm;
  explicit Normed(uint32_t run) {
    const TensorId x = scratch(graph, "x", 4);
    norm = add(graph, Op::rms_norm, "norm", {x, vector(graph, "norm.weight", run)}, 4);
  }
};

TEST(FoldPermutations, SharedOrderGoesIntoTheNorm) {
  Normed n(4);
  const TensorId q = act_order_matmul(n.graph, "q", n.norm, kA, 4);
  const TensorId k = act_order_matmul(n.graph, "k", n.norm, kA, 4);
  n.graph.add_output(q);
  n.graph.add_output(k);
  const FoldReport report = fold_permutations(n.graph);
  EXPECT_EQ(report.permutes_before, 2u);
  EXPECT_EQ(report.permutes_after, 0u);
  EXPECT_THAT(ops(n.graph), ElementsAre(Op::rms_norm, Op::matmul, Op::matmul));
  ASSERT_EQ(n.graph.nodes[0].in.size(), 3u);
  EXPECT_EQ(n.graph.tensors[n.graph.nodes[0].in[2]].values, kA);
  // Both matmuls read what the norm now writes.
  EXPECT_EQ(n.graph.nodes[1].in[0], n.graph.nodes[0].out[0]);
  EXPECT_EQ(n.graph.nodes[2].in[0], n.graph.nodes[0].out[0]);
}

TEST(FoldPermutations, ANormOfShorterRunsTakesNoOrder) {
  Normed n(2);
  n.graph.add_output(act_order_matmul(n.graph, "q", n.norm, kA, 4));
  EXPECT_EQ(fold_permutations(n.graph).permutes_after, 1u);
  EXPECT_EQ(n.graph.nodes[0].in.size(), 2u);
}

TEST(FoldPermutations, DifferentOrdersOfOneInputStay) {
  Normed n(4);
  n.graph.add_output(act_order_matmul(n.graph, "q", n.norm, kA, 4));
  n.graph.add_output(act_order_matmul(n.graph, "k", n.norm, kA, 4));
  n.graph.add_output(act_order_matmul(n.graph, "v", n.norm, kB, 4));
  EXPECT_EQ(fold_permutations(n.graph).permutes_after, 2u);  // q and k share theirs
  EXPECT_THAT(ops(n.graph), ElementsAre(Op::rms_norm, Op::permute, Op::matmul, Op::matmul,
                                        Op::permute, Op::matmul));
}

TEST(FoldPermutations, ANormThatIsAlsoReadAsItIsStays) {
  Normed n(4);
  n.graph.add_output(act_order_matmul(n.graph, "q", n.norm, kA, 4));
  n.graph.add_output(
      add(n.graph, Op::matmul, "dense", {n.norm, weight(n.graph, "dense.weight", 4, 4)}, 4));
  EXPECT_EQ(fold_permutations(n.graph).permutes_after, 1u);
  EXPECT_EQ(n.graph.nodes[0].in.size(), 2u);
}

// x . W and the change that adapters make to it.
TensorId adapted(Graph& graph, const std::string& name, TensorId x, uint32_t cols) {
  const TensorId y =
      add(graph, Op::matmul, name, {x, weight(graph, name + ".weight", 4, cols)}, cols);
  const TensorId a = vector(graph, name + ".a", 1), b = vector(graph, name + ".b", 1),
                 ranks = vector(graph, name + ".ranks", 1);
  return add(graph, Op::low_rank, name + ".adapters", {x, y, a, b, ranks}, cols);
}

TEST(FoldPermutations, AdaptersOfGateAndUpTakeTheOrderOfDown) {
  Graph graph;
  const TensorId x = scratch(graph, "x", 4);
  const TensorId gate = adapted(graph, "gate", x, 4), up = adapted(graph, "up", x, 4);
  const TensorId y = add(graph, Op::silu_mul, "silu", {gate, up}, 4);
  graph.add_output(act_order_matmul(graph, "down", y, kA, 4));
  EXPECT_EQ(fold_permutations(graph).permutes_after, 0u);
  for (const GraphTensor& tensor : graph.tensors) {
    const bool ordered = tensor.name == "gate.weight" || tensor.name == "up.weight" ||
                         tensor.name == "gate.b" || tensor.name == "up.b";
    EXPECT_EQ(tensor.column_order, ordered ? kA : std::vector<uint32_t>()) << tensor.name;
  }
}

TEST(FoldPermutations, AnOutputOfTheModelKeepsItsOrder) {
  Normed n(4);
  n.graph.add_output(act_order_matmul(n.graph, "q", n.norm, kA, 4));
  n.graph.add_output(n.norm);
  EXPECT_EQ(fold_permutations(n.graph).permutes_after, 1u);
}

struct Mlp {
  Graph graph;
  TensorId gate_weight, up_weight, gate, up, product;
  Mlp() {
    const TensorId x = scratch(graph, "x", 8);
    gate_weight = weight(graph, "gate.weight", 8, 4);
    up_weight = weight(graph, "up.weight", 8, 4);
    gate = add(graph, Op::matmul, "gate", {x, gate_weight}, 4);
    up = add(graph, Op::matmul, "up", {x, up_weight}, 4);
    product = add(graph, Op::silu_mul, "product", {gate, up}, 4);
  }
};

TEST(FoldPermutations, DownProjectionOrdersTheColumnsOfGateAndUp) {
  Mlp m;
  m.graph.add_output(act_order_matmul(m.graph, "down", m.product, kA, 8));
  EXPECT_EQ(fold_permutations(m.graph).permutes_after, 0u);
  EXPECT_EQ(m.graph.tensors[m.gate_weight].column_order, kA);
  EXPECT_EQ(m.graph.tensors[m.up_weight].column_order, kA);
  EXPECT_THAT(ops(m.graph), ElementsAre(Op::matmul, Op::matmul, Op::silu_mul, Op::matmul));
}

TEST(FoldPermutations, ABiasFollowsItsColumns) {
  Mlp m;
  const TensorId bias = weight(m.graph, "gate.bias", 1, 4);
  m.graph.nodes[0].in.push_back(bias);
  m.graph.add_output(act_order_matmul(m.graph, "down", m.product, kA, 8));
  EXPECT_EQ(fold_permutations(m.graph).permutes_after, 0u);
  EXPECT_EQ(m.graph.tensors[bias].column_order, kA);
}

TEST(FoldPermutations, ColumnsStayWhereSomeoneElseReadsTheGate) {
  Mlp m;
  m.graph.add_output(act_order_matmul(m.graph, "down", m.product, kA, 8));
  m.graph.add_output(m.gate);
  EXPECT_EQ(fold_permutations(m.graph).permutes_after, 1u);
  EXPECT_TRUE(m.graph.tensors[m.gate_weight].column_order.empty());
  EXPECT_TRUE(m.graph.tensors[m.up_weight].column_order.empty());
}

TEST(FoldPermutations, AttentionStoresInTheOrderOfTheOutputProjection) {
  Graph graph;
  const TensorId q = scratch(graph, "q", 4);
  const TensorId keys = scratch(graph, "keys", 4), values = scratch(graph, "values", 4);
  const TensorId y = add(graph, Op::attention, "attention", {q, keys, values}, 4);
  graph.add_output(act_order_matmul(graph, "o", y, kB, 4));
  EXPECT_EQ(fold_permutations(graph).permutes_after, 0u);
  ASSERT_EQ(graph.nodes[0].in.size(), 4u);
  EXPECT_EQ(graph.tensors[graph.nodes[0].in[3]].values, kB);
}

}  // namespace
}  // namespace ropewalk::test
