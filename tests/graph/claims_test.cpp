#include "core/graph/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/error_of.h"
#include "tests/graph/small_graphs.h"

namespace ropewalk::test {
namespace {

using abi::Op;
using testing::ElementsAre;
using testing::HasSubstr;

// x -> a -> b -> c, and d reads b as well.
struct Chain {
  Graph graph;
  TensorId x, a, b, c, d;
  Chain() {
    x = scratch(graph, "x", 4);
    a = add(graph, Op::add, "a", {x, x}, 4);
    b = add(graph, Op::add, "b", {a, a}, 4);
    c = add(graph, Op::add, "c", {b, b}, 4);
    d = add(graph, Op::add, "d", {c, b}, 4);
    graph.add_output(d);
  }
  ClaimList singles() const {
    ClaimList list;
    for (uint32_t i = 0; i < 4; ++i) list.claims.push_back({{i}, {}, 0});
    return list;
  }
};

std::vector<std::vector<uint32_t>> nodes(const std::vector<OwnedClaim>& steps) {
  std::vector<std::vector<uint32_t>> list;
  for (const OwnedClaim& step : steps) list.push_back(step.nodes);
  return list;
}

using Nodes = std::vector<uint32_t>;

TEST(Claims, TheGreatestGainIsTakenAndTheRestRunsAlone) {
  Chain chain;
  ClaimList offered = chain.singles();
  offered.claims.push_back({{0, 1}, {chain.a}, 1.0f});
  offered.claims.push_back({{1, 2}, {}, 3.0f});
  EXPECT_THAT(nodes(choose_steps(chain.graph, offered, "test")),
              ElementsAre(Nodes{0}, Nodes{1, 2}, Nodes{3}));
}

TEST(Claims, EqualGainsGoToTheEarlierNode) {
  Chain chain;
  ClaimList offered = chain.singles();
  offered.claims.push_back({{1, 2}, {}, 1.0f});
  offered.claims.push_back({{0, 1}, {}, 1.0f});
  EXPECT_THAT(nodes(choose_steps(chain.graph, offered, "test")),
              ElementsAre(Nodes{0, 1}, Nodes{2}, Nodes{3}));
}

TEST(Claims, AHiddenValueThatSomeoneElseReadsMakesAClaimIllegal) {
  Chain chain;
  EXPECT_EQ(judge(chain.graph, {{0, 1}, {chain.a}, 1}), "");
  EXPECT_EQ(judge(chain.graph, {{1, 2}, {chain.b}, 1}), "it hides b, which d reads");
  EXPECT_EQ(judge(chain.graph, {{1, 2, 3}, {chain.b, chain.c}, 1}), "");
  EXPECT_EQ(judge(chain.graph, {{2, 3}, {chain.d}, 1}), "it hides d, which the host reads");
  EXPECT_EQ(judge(chain.graph, {{2, 3}, {chain.a}, 1}), "it hides a, which it does not write");
}

TEST(Claims, NodesMustBeConsecutive) {
  Chain chain;
  EXPECT_EQ(judge(chain.graph, {{0, 2}, {}, 1}), "its nodes are not consecutive");
  EXPECT_EQ(judge(chain.graph, {{1, 0}, {}, 1}), "its nodes are not consecutive");
  EXPECT_EQ(judge(chain.graph, {{7}, {}, 1}), "it claims a node that does not exist");
  EXPECT_EQ(judge(chain.graph, {{}, {}, 1}), "it claims no node");
}

TEST(Claims, AnIllegalClaimIsLeftOutAndTheModelStillRuns) {
  Chain chain;
  ClaimList offered = chain.singles();
  offered.claims.push_back({{1, 2}, {chain.b}, 9.0f});
  EXPECT_EQ(choose_steps(chain.graph, offered, "test").size(), 4u);
}

TEST(Claims, ANodeThatNobodyClaimsIsRefusedWithTheDevicesReason) {
  Chain chain;
  ClaimList offered = chain.singles();
  offered.claims.erase(offered.claims.begin() + 2);
  offered.refuse(2, "head size 24 is not supported");
  expect_error(ExitCode::no_device,
               HasSubstr("test device: cannot run c (add): head size 24 is not supported"),
               [&] { choose_steps(chain.graph, offered, "test device"); });
}

TEST(Claims, ThePlanCanBePrinted) {
  Chain chain;
  ClaimList offered = chain.singles();
  offered.claims.push_back({{0, 1}, {chain.a}, 2.5f});
  EXPECT_EQ(describe_steps(chain.graph, choose_steps(chain.graph, offered, "test")),
            "a + b  saves 2.5 us  hides a\nc\nd\n");
}

}  // namespace
}  // namespace ropewalk::test
