#include "core/graph/scratch_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/graph/small_graphs.h"

namespace ropewalk::test {
namespace {

using abi::Op;
std::vector<OwnedClaim> one_step_a_node(const Graph& graph) {
  std::vector<OwnedClaim> steps;
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) steps.push_back({{i}, {}, 0});
  return steps;
}

TEST(ScratchPlan, AChainNeedsTwoPlaces) {
  Graph graph;
  TensorId x = add(graph, Op::embed, "x", {}, 64);
  for (int i = 0; i < 10; ++i) x = add(graph, Op::permute, "p" + std::to_string(i), {x}, 64);
  graph.add_output(x);
  // 8 rows x 64 x 4 bytes, a value read and the one written: they may not share.
  EXPECT_EQ(plan_scratch(graph, one_step_a_node(graph), 8, 1).bytes, 2u * 8 * 64 * 4);
}

TEST(ScratchPlan, HiddenValuesNeedNoPlace) {
  Graph graph;
  const TensorId a = add(graph, Op::embed, "a", {}, 64);
  const TensorId b = add(graph, Op::permute, "b", {a}, 64);
  graph.add_output(b);
  const ScratchPlan plan = plan_scratch(graph, {{{0, 1}, {a}, 1}}, 1, 1);
  EXPECT_EQ(plan.slices[a].bytes, 0u);
  EXPECT_EQ(plan.bytes, 256u);
}

TEST(ScratchPlan, WantedRowsAreCountedByThemselves) {
  Graph graph;
  const TensorId a = add(graph, Op::embed, "a", {}, 64);
  graph.tensors[a].dims = {abi::kWanted, 64};
  graph.add_output(a);
  EXPECT_EQ(plan_scratch(graph, one_step_a_node(graph), 512, 3).bytes, 3u * 64 * 4);
}

// Property: in random graphs no two values that live at the same time overlap, and all lie inside.
TEST(ScratchPlan, ValuesThatLiveTogetherNeverOverlap) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Graph graph;
    std::vector<TensorId> values = {add(graph, Op::embed, "v0", {}, 16)};
    for (int i = 1; i < 30; ++i) {
      const TensorId a = values[random() % values.size()], b = values[random() % values.size()];
      const uint32_t width = 16 * (1 + static_cast<uint32_t>(random() % 40));
      values.push_back(add(graph, Op::add, "v" + std::to_string(i), {a, b}, width));
    }
    graph.add_output(values.back());
    const ScratchPlan plan = plan_scratch(graph, one_step_a_node(graph), 3, 1);

    const auto last_use = [&](TensorId t) {
      size_t last = graph.writer(t);
      for (const uint32_t reader : graph.readers(t)) last = std::max<size_t>(last, reader);
      return graph.is_output(t) ? graph.nodes.size() : last;
    };
    for (const TensorId a : values) {
      const abi::Slice& x = plan.slices[a];
      ASSERT_GE(x.bytes, graph.bytes(a, 3, 1));
      ASSERT_LE(x.offset + x.bytes, plan.bytes);
      ASSERT_EQ(x.offset % 256, 0u);
      for (const TensorId b : values) {
        if (b == a || graph.writer(a) > last_use(b) || graph.writer(b) > last_use(a)) continue;
        const abi::Slice& y = plan.slices[b];
        ASSERT_TRUE(x.offset + x.bytes <= y.offset || y.offset + y.bytes <= x.offset)
            << graph.tensors[a].name << " and " << graph.tensors[b].name;
      }
    }
  }
}

}  // namespace
}  // namespace ropewalk::test
