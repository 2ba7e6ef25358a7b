// Every fusion that a device offers against its own expansion: the same nodes one by one on the
// same device. A value that the fused step hides has no memory, so that using it would be seen.
#include "tests/ops/fusion.h"

namespace ropewalk::test {
namespace {

using abi::DType;
using abi::KeyRotation;
using abi::Op;

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
// More columns than a thread block of CUDA multiplies; what lies behind the last of them.
TEST_P(Fusion, gate_and_up_then_silu_mul_of_many_columns) { check(gated(33, 300), 3); }
TEST_P(Fusion, gate_and_up_then_down) {
  for (const uint32_t rows : {1u, 33u, 256u})
    for (const uint32_t width : {72u, 160u}) check_beside_cpu(mlp(rows, width, 1));
}
// Products of gate and up beyond the range of f16.
TEST_P(Fusion, gate_and_up_then_down_of_large_numbers) {
  for (const uint32_t rows : {33u, 256u}) check_beside_cpu(mlp(rows, 72, 20));
}
TEST_P(Fusion, gate_and_up_then_gelu_mul) {
  for (const uint32_t rows : kRowCounts) check(gated(rows, 72, Op::gelu_mul), 3);
}
TEST_P(Fusion, gate_and_up_then_gelu_mul_then_down) {
  for (const uint32_t rows : {1u, 33u, 256u}) check_beside_cpu(mlp(rows, 72, 1, Op::gelu_mul));
}
TEST_P(Fusion, gate_and_up_then_others) {
  for (const uint32_t rows : {1u, 256u}) check_beside_cpu(two_mlps(rows));
}
TEST_P(Fusion, norm_then_attention_then_product) {
  for (const uint32_t rows : {1u, 33u, 256u})
    check_beside_cpu(attended({2, 1, 64, DType::f16, kRotatedKeys, true}, rows),
                     ToleranceClass::attention);
}
TEST_P(Fusion, norm_then_attention_of_128_then_product) {
  for (const bool ordered : {false, true})
    check_beside_cpu(attended({2, 2, 128, DType::f16, kRotatedKeys, ordered}, 256),
                     ToleranceClass::attention);
}
TEST_P(Fusion, norm_then_attention_i8_then_product) {
  check_beside_cpu(attended({4, 2, 32, DType::i8, kRotatedKeys, true}, 256),
                   ToleranceClass::attention);
}
TEST_P(Fusion, norm_then_attention_of_prompts_and_single_rows_then_product) {
  check_beside_cpu(attended_beside_single_rows({4, 2, 64, DType::f16, kRotatedKeys, true}, 256),
                   ToleranceClass::attention);
}
// Rows and columns that no workgroup has whole.
TEST_P(Fusion, gate_and_up_then_silu_mul_then_a_product) {
  for (const uint32_t rows : {1u, 2u, 5u, 8u, 33u}) check(gated_then_product(rows, 160), 3);
}
TEST_P(Fusion, products_of_which_one_has_a_bias) {
  for (const uint32_t rows : {1u, 5u}) {
    check(gated_with_one_bias(rows, true), 3);
    check(gated_with_one_bias(rows, false), 3);
    for (const int biased : {0, 1, 2})
      check(heads_with_one_bias({3, 1, 32, DType::f16, kRotatedKeys, false}, rows, biased), 6);
  }
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
TEST_P(Fusion, products_to_the_cache_f16_of_256) {
  for (const uint32_t rows : {1u, 33u})
    check(heads({2, 1, 256, DType::f16, kRotatedKeys, false}, rows), 6);
}
TEST_P(Fusion, products_to_the_cache_i8) {
  for (const uint32_t rows : {1u, 3u, 17u, 256u})
    check(heads({4, 2, 64, DType::i8, kRotatedKeys, false}, rows), 6);
}
// Several heads in a subgroup, the last ones not full, and heads that no subgroup divides.
TEST_P(Fusion, products_to_the_cache_by_heads_of_odd_sizes) {
  for (const uint32_t rows : {1u, 5u}) {
    check(heads({3, 3, 4, DType::f16, kRotatedKeys, false}, rows), kAnySteps);
    check(heads({4, 1, 20, DType::f32, kRotatedKeys, false}, rows), kAnySteps);
  }
}

TEST_P(Fusion, norm_then_products_to_the_cache) {
  for (const uint32_t rows : {1u, 2u, 5u, 33u})
    check(normed_heads({4, 2, 64, DType::f16, kRotatedKeys, false}, rows), 7);
}
TEST_P(Fusion, norm_then_gate_and_up_then_silu_mul) {
  for (const uint32_t rows : {1u, 2u, 5u, 33u}) check(normed_gate(rows, 72), 4);
}

// Sums that several subgroups of a GPU's workgroup share, of more rows than it shares at a time.
// The last subgroup has a part of a share.
TEST_P(Fusion, few_rows_of_long_sums) {
  constexpr uint32_t kDepth = 544;
  const AttentionShape shape{3, 1, 32, DType::f16, kRotatedKeys, false};
  check(gated_of(kDepth, 8, 72), 3);
  if (IsSkipped()) return;
  check(heads_of(kDepth, shape, 8), 6);
  check(normed_gate_of(kDepth, 2, 72), kAnySteps);
  check(normed_heads_of(kDepth, shape, 2), kAnySteps);
}

TEST_P(Fusion, rope_then_append_f16) {
  for (const uint32_t rows : kRowCounts)
    check(append({3, 3, 32, DType::f16, kRotatedKeys, false}, rows), 3);
}
TEST_P(Fusion, rope_by_the_second_table_then_append) {
  AttentionShape shape{4, 2, 64, DType::f16, kRotatedKeys, false};
  shape.table = 1;
  for (const uint32_t rows : {1u, 33u}) check(append(shape, rows), 3);
}
TEST_P(Fusion, products_to_the_cache_by_the_second_table) {
  AttentionShape shape{4, 2, 64, DType::f16, kRotatedKeys, false};
  shape.table = 1;
  for (const uint32_t rows : {1u, 33u}) check(heads(shape, rows), 6);
}
TEST_P(Fusion, rope_then_append_f32) {
  check(append({4, 2, 64, DType::f32, kRotatedKeys, false}, 33), 3);
}
TEST_P(Fusion, rope_then_append_i8) {
  check(append({8, 1, 128, DType::i8, kRotatedKeys, false}, 33), 3);
}

// A layer between embedding and head: fused steps must not disturb the others.
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
    expect_close(ToleranceClass::matmul, fused.get(block.logits),
                 std::vector<double>(truth.begin(), truth.end()));
  }
}

// Another node reads the sum too, so no claim may hide it.
TEST_P(Fusion, what_others_read_is_not_hidden) {
  Random random(4);
  OpCase c(4);
  const Input x = c.random_input({64});
  const StoredWeight weight = random_gptq({64, 64, 4, 32, 1, DType::f16}, random);
  const uint32_t sum = c.op(Op::matmul, {x, c.graph.weight("w", weight)}, {64}, {});
  const uint32_t y = c.op(Op::add, {x, sum}, {64}, abi::AddParams{});
  c.op(Op::add, {y, sum}, {64}, abi::AddParams{});
  const Session fused(c.graph, device(), c.shape, Steps::fused);
  EXPECT_EQ(fused.step_sizes(), (std::vector<size_t>{1, 1, 1}));
}

// Fused kernels add without a scale.
TEST_P(Fusion, an_add_with_a_scale_is_not_fused) {
  Random random(4);
  OpCase c(4);
  const Input x = c.random_input({64});
  const StoredWeight weight = random_gptq({64, 64, 4, 32, 1, DType::f16}, random);
  const uint32_t sum = c.op(Op::matmul, {x, c.graph.weight("w", weight)}, {64}, {});
  c.op(Op::add, {x, sum}, {64}, abi::AddParams{0.5f});
  const Session fused(c.graph, device(), c.shape, Steps::fused);
  EXPECT_EQ(fused.step_sizes(), (std::vector<size_t>{1, 1}));
}

RW_ON_EVERY_DEVICE(Fusion);

}  // namespace
}  // namespace ropewalk::test
