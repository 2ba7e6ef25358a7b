// Every fusion that a device offers against its own expansion: the same nodes one by one on the
// same device. A value that the fused step hides has no memory, so that using it would be seen.
#include <cmath>

#include "tests/ops/block.h"
#include "tests/ops/conversation.h"
#include "tests/ops/op_test.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::KeyRotation;
using abi::Op;

// A graph, the values of its inputs for a number of rows, and what is compared.
struct Expansion {
  Case description;
  std::vector<uint32_t> inputs, results;
  abi::ProgramShape shape;
  StepData step;
};

class Fusion : public OpTest {
 protected:
  static constexpr size_t kAnySteps = 0;  // as nodes_of_fusion: however many are fused

  // Skips where the device has no such fusion, or lacks a type.
  void check(const Expansion& e, size_t nodes_of_fusion) {
    try {
      compare(e, nodes_of_fusion);
    } catch (const Unsupported& reason) {
      GTEST_SKIP() << GetParam() << " does not support this: " << reason.what();
    }
  }

  void compare(const Expansion& e, size_t nodes_of_fusion) {
    Session alone(e.description, device(), e.shape, Steps::alone);
    Session fused(e.description, device(), e.shape, Steps::fused);
    const std::vector<size_t> sizes = fused.step_sizes();
    if (nodes_of_fusion != kAnySteps && !std::count(sizes.begin(), sizes.end(), nodes_of_fusion))
      GTEST_SKIP() << GetParam() << " does not support this: it offers no such fusion";
    const auto rows = static_cast<uint32_t>(e.step.position.size());
    Random random(rows);
    for (const uint32_t input : e.inputs) {
      const std::vector<float> values = random.values(rows * e.description.width(input));
      alone.set(input, values);
      fused.set(input, values);
    }
    alone.run(e.step);
    fused.run(e.step);
    for (const uint32_t result : e.results) {
      const std::vector<float> truth = alone.get(result);
      expect_close(Law::add, fused.get(result), std::vector<double>(truth.begin(), truth.end()));
    }
  }

  static uint32_t product(Case& c, uint32_t x, std::vector<uint32_t> dims, Random& random) {
    uint32_t width = 1;
    for (size_t i = 1; i < dims.size(); ++i) width *= dims[i];
    const auto depth = static_cast<uint32_t>(c.width(x));
    const uint32_t y = c.activation("product", std::move(dims));
    c.node(Op::matmul,
           {x, c.weight("w", random_gptq({depth, width, 4, 32, 1, DType::f16}, random)),
            c.vector("bias", random.values(width))},
           {y}, {});
    return y;
  }

  // silu(x . G) * (x . U).
  Expansion gated(uint32_t rows, uint32_t width) {
    Random random(5);
    Expansion e;
    Case& c = e.description;
    const uint32_t x = c.activation("x", {abi::kRows, 160});
    const uint32_t gate = product(c, x, {abi::kRows, width}, random);
    const uint32_t up = product(c, x, {abi::kRows, width}, random);
    e.inputs = {x};
    e.results = {c.activation("y", {abi::kRows, width})};
    c.node(Op::silu_mul, {gate, up}, e.results, {});
    e.shape = {rows, rows, 1, 1};
    e.step = plain_step(rows);
    return e;
  }

  // The same with an U that is stored another way than G: 4 bits, groups of 32, scales of f16.
  Expansion gated_with(uint32_t rows, uint8_t bits, uint32_t group_size, DType scales) {
    constexpr uint32_t kDepth = 160, kWidth = 72;
    Random random(8);
    Expansion e;
    Case& c = e.description;
    const uint32_t x = c.activation("x", {abi::kRows, kDepth});
    const uint32_t gate = product(c, x, {abi::kRows, kWidth}, random);
    const uint32_t up = c.activation("up", {abi::kRows, kWidth});
    c.node(Op::matmul,
           {x, c.weight("u", random_gptq({kDepth, kWidth, bits, group_size, 1, scales}, random))},
           {up}, {});
    e.inputs = {x};
    e.results = {c.activation("y", {abi::kRows, kWidth})};
    c.node(Op::silu_mul, {gate, up}, e.results, {});
    e.shape = {rows, rows, 1, 1};
    e.step = plain_step(rows);
    return e;
  }

  // Products of one x that nothing is done with.
  Expansion beside(uint32_t rows) {
    Random random(6);
    Expansion e;
    Case& c = e.description;
    const uint32_t x = c.activation("x", {abi::kRows, 96});
    for (const uint32_t width : {72u, 24u, 40u})
      e.results.push_back(product(c, x, {abi::kRows, width}, random));
    e.inputs = {x};
    e.shape = {rows, rows, 1, 1};
    e.step = plain_step(rows);
    return e;
  }

  // x becomes queries, and keys and values in the cache; attention shows what the cache has.
  Expansion heads(const AttentionShape& shape, uint32_t rows) {
    Random random(7);
    Expansion e;
    Case& c = e.description;
    const uint32_t x = c.activation("x", {abi::kRows, 96});
    const std::vector<uint32_t> q_dims = {abi::kRows, shape.heads, shape.dim};
    const std::vector<uint32_t> kv_dims = {abi::kRows, shape.kv_heads, shape.dim};
    const uint32_t q = product(c, x, q_dims, random), k = product(c, x, kv_dims, random);
    const uint32_t v = product(c, x, kv_dims, random);
    e.inputs = {x};
    attend(e, shape, rows, {q, k, v});
    return e;
  }

  // y = residual + x . W, or silu(gate) * (x . W).
  Expansion epilogue(Op op, uint32_t rows, bool sum_is_first, bool has_bias) {
    constexpr uint32_t kDepth = 160, kWidth = 72;
    Random random(3);
    Expansion e;
    Case& c = e.description;
    const uint32_t x = c.activation("x", {abi::kRows, kDepth});
    const uint32_t other = c.activation("other", {abi::kRows, kWidth});
    const uint32_t sum = c.activation("sum", {abi::kRows, kWidth});
    const uint32_t y = c.activation("y", {abi::kRows, kWidth});
    std::vector<uint32_t> in = {
        x, c.weight("w", random_gptq({kDepth, kWidth, 4, 32, 1, DType::f16}, random))};
    if (has_bias) in.push_back(c.vector("bias", random.values(kWidth)));
    c.node(Op::matmul, in, {sum}, {});
    const std::vector<uint32_t> pair =
        sum_is_first ? std::vector<uint32_t>{sum, other} : std::vector<uint32_t>{other, sum};
    c.node(op, pair, {y}, {});
    e.inputs = {x, other};
    e.results = {y};
    e.shape = {rows, rows, 1, 1};
    e.step = plain_step(rows);
    return e;
  }

  // Queries and keys rotated, keys and values appended; attention shows what the cache has.
  Expansion append(const AttentionShape& shape, uint32_t rows) {
    Expansion e;
    Case& c = e.description;
    const uint32_t q = c.activation("q", {abi::kRows, shape.heads, shape.dim});
    const uint32_t k = c.activation("k", {abi::kRows, shape.kv_heads, shape.dim});
    const uint32_t v = c.activation("v", {abi::kRows, shape.kv_heads, shape.dim});
    e.inputs = {q, k, v};
    attend(e, shape, rows, {q, k, v});
    return e;
  }

  struct Heads {
    uint32_t q, k, v;
  };
  static void attend(Expansion& e, const AttentionShape& shape, uint32_t rows, const Heads& in) {
    const uint32_t pages = (rows + abi::kPageTokens - 1) / abi::kPageTokens;
    Case& c = e.description;
    const uint32_t q_turned = c.activation("q turned", {abi::kRows, shape.heads, shape.dim});
    const uint32_t k_turned = c.activation("k turned", {abi::kRows, shape.kv_heads, shape.dim});
    e.results = {c.activation("y", {abi::kRows, shape.heads * shape.dim})};
    const std::vector<uint32_t> dims = {pages, abi::kPageTokens, shape.kv_heads, shape.dim};
    const uint32_t keys = c.cache("keys", shape.cache, dims);
    const uint32_t values = c.cache("values", shape.cache, dims);
    c.node(Op::rope, {in.q}, {q_turned}, abi::RopeParams{1.5f});
    c.node(Op::rope, {in.k}, {k_turned}, abi::RopeParams{1.5f});
    c.node(Op::kv_append, {k_turned, in.v, keys, values}, {}, {});
    c.node(Op::attention, {q_turned, keys, values}, e.results,
           abi::AttentionParams{1 / std::sqrt(static_cast<float>(shape.dim))});
    e.shape = {rows, 1, 1, pages};
    e.step = plain_step(rows);
    e.step.wanted = {0};
    for (uint32_t p = 1; p < pages; ++p) e.step.page.push_back(p);
    for (uint32_t i = 0; i < shape.dim / 2; ++i)
      e.step.inv_freq.push_back(static_cast<float>(std::pow(10000.0, -2.0 * i / shape.dim)));
  }
};

TEST_P(Fusion, matmul_then_add) {
  for (const uint32_t rows : kRowCounts) check(epilogue(Op::add, rows, false, false), 2);
}
TEST_P(Fusion, matmul_then_add_of_the_residual) { check(epilogue(Op::add, 17, true, false), 2); }
TEST_P(Fusion, matmul_with_bias_then_add) { check(epilogue(Op::add, 3, false, true), 2); }
TEST_P(Fusion, matmul_then_silu_mul) {
  for (const uint32_t rows : kRowCounts) check(epilogue(Op::silu_mul, rows, false, false), 2);
}

TEST_P(Fusion, gate_and_up_then_silu_mul) {
  for (const uint32_t rows : kRowCounts) check(gated(rows, 72), 3);
}
// More rows than a thread block of CUDA multiplies, fewer than cuBLAS takes.
TEST_P(Fusion, of_two_row_blocks) {
  check(gated(100, 72), 3);
  check(heads({3, 1, 32, DType::f16, kRotatedKeys, false}, 100), 6);
}
// Fused or not, each weight is read as it is stored.
TEST_P(Fusion, gate_and_up_with_scales_of_two_types) {
  for (const uint32_t rows : {1u, 16u, 33u, 256u})
    check(gated_with(rows, 4, 32, DType::f32), kAnySteps);
}
TEST_P(Fusion, gate_and_up_of_different_bits_or_groups) {
  for (const uint32_t rows : {1u, 33u}) {
    check(gated_with(rows, 8, 32, DType::f16), kAnySteps);
    check(gated_with(rows, 4, 160, DType::f16), kAnySteps);
  }
}
// More columns than CUDA makes f16 at once.
TEST_P(Fusion, of_several_slices) { check(gated(256, 900), 3); }
TEST_P(Fusion, products_of_the_same_x) {
  for (const uint32_t rows : kRowCounts) check(beside(rows), 3);
}
TEST_P(Fusion, products_to_the_cache_f16) {
  for (const uint32_t rows : kRowCounts)
    check(heads({3, 1, 32, DType::f16, kRotatedKeys, false}, rows), 6);
}
TEST_P(Fusion, products_to_the_cache_f16_of_128) {
  for (const uint32_t rows : {1u, 33u, 256u})
    check(heads({2, 2, 128, DType::f16, kRotatedKeys, false}, rows), 6);
}
TEST_P(Fusion, products_to_the_cache_i8) {
  for (const uint32_t rows : {1u, 17u, 256u})
    check(heads({4, 2, 64, DType::i8, kRotatedKeys, false}, rows), 6);
}

TEST_P(Fusion, rope_then_append_f16) {
  for (const uint32_t rows : kRowCounts)
    check(append({3, 3, 32, DType::f16, kRotatedKeys, false}, rows), 3);
}
TEST_P(Fusion, rope_then_append_f32) {
  check(append({4, 2, 64, DType::f32, kRotatedKeys, false}, 33), 3);
}
TEST_P(Fusion, rope_then_append_i8) {
  check(append({8, 1, 128, DType::i8, kRotatedKeys, false}, 33), 3);
}

// A layer with everything around: what is fused in it must not disturb what is not.
TEST_P(Fusion, whole_block) {
  const Block block(1);
  const abi::ProgramShape shape{32, 32, 1, kBlockPages};
  Session alone(block.description, device(), shape, Steps::alone);
  Session fused(block.description, device(), shape, Steps::fused);
  if (fused.step_sizes().size() == alone.step_sizes().size())
    GTEST_SKIP() << GetParam() << " does not support this: it offers no fusion";
  for (const StepData& step : {block.step(0, 0, 32), block.step(0, 32, 1), block.step(0, 33, 7)}) {
    alone.run(step);
    fused.run(step);
    const std::vector<float> truth = alone.get(block.logits);
    expect_close(Law::matmul, fused.get(block.logits),
                 std::vector<double>(truth.begin(), truth.end()));
  }
}

// The sum is read by someone else too, so nothing may hide it.
TEST_P(Fusion, what_others_read_is_not_hidden) {
  Random random(4);
  Case c;
  const uint32_t x = c.activation("x", {abi::kRows, 64});
  const uint32_t sum = c.activation("sum", {abi::kRows, 64});
  const uint32_t y = c.activation("y", {abi::kRows, 64}), z = c.activation("z", {abi::kRows, 64});
  c.node(Op::matmul, {x, c.weight("w", random_gptq({64, 64, 4, 32, 1, DType::f16}, random))}, {sum},
         {});
  c.node(Op::add, {x, sum}, {y}, {});
  c.node(Op::add, {y, sum}, {z}, {});
  Session fused(c, device(), {4, 4, 1, 1}, Steps::fused);
  EXPECT_EQ(fused.step_sizes(), (std::vector<size_t>{1, 1, 1}));
}

RW_ON_EVERY_DEVICE(Fusion);

}  // namespace
}  // namespace ropewalk::test
