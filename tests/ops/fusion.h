// fusion.h — small models whose nodes a device may fuse, and comparisons of fused steps with their
// nodes one by one.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

#include "tests/ops/harness/block.h"
#include "tests/ops/harness/conversation.h"
#include "tests/ops/op_test.h"

namespace ropewalk::test {

// A case whose truth is what its nodes compute one by one: `results` are compared.
struct Expansion : OpCase {
  using OpCase::OpCase;
  std::vector<uint32_t> results;
};

class Fusion : public OpTest {
 protected:
  static constexpr uint32_t kSparePages = 3;  // of a cache, for other sequences
  static constexpr size_t kAnySteps = 0;      // as nodes_of_fusion: any number of fused nodes

  // Skips where the device has no such fusion, or lacks a type.
  void check(const Expansion& e, size_t nodes_of_fusion) {
    try {
      compare(e, nodes_of_fusion);
    } catch (const Unsupported& reason) {
      GTEST_SKIP() << GetParam() << " does not support this: " << reason.what();
    }
  }

  void compare(const Expansion& e, size_t nodes_of_fusion) {
    Session alone(e.graph, device(), e.shape, Steps::alone);
    Session fused(e.graph, device(), e.shape, Steps::fused);
    const std::vector<size_t> sizes = fused.step_sizes();
    if (nodes_of_fusion != kAnySteps && !std::count(sizes.begin(), sizes.end(), nodes_of_fusion))
      GTEST_SKIP() << GetParam() << " does not support this: it offers no such fusion";
    for (const Input& input : e.inputs) {
      alone.set(input, input.values);
      fused.set(input, input.values);
    }
    alone.run(e.step);
    fused.run(e.step);
    expect_same(e, ToleranceClass::add, alone, fused);
  }

  // Steps of one node each may share work too. So this compares with the nodes on the CPU, one by
  // one.
  void check_beside_cpu(const Expansion& e, ToleranceClass kind = ToleranceClass::matmul) {
    if (is_cpu(GetParam())) return check(e, kAnySteps);
    try {
      Session cpu(e.graph, test::device("cpu"), e.shape, Steps::alone);
      Session fused(e.graph, device(), e.shape, Steps::fused);
      for (const Input& input : e.inputs) {
        cpu.set(input, input.values);
        fused.set(input, input.values);
      }
      cpu.run(e.step);
      fused.run(e.step);
      expect_same(e, kind, cpu, fused);
    } catch (const Unsupported& reason) {
      GTEST_SKIP() << GetParam() << " does not support this: " << reason.what();
    }
  }

  void expect_same(const Expansion& e, ToleranceClass kind, Session& one, Session& other) {
    for (const uint32_t result : e.results) {
      const std::vector<float> truth = one.get(result);
      expect_close(kind, other.get(result), std::vector<double>(truth.begin(), truth.end()));
    }
  }

  // x . W + bias, (R, dims...), with random weights of 4 bits in groups of 32.
  static uint32_t product(OpCase& c, uint32_t x, const std::vector<uint32_t>& dims,
                          Random& random) {
    const uint32_t w = weight(c, x, dims, random);
    return c.op(abi::Op::matmul, {x, w, c.graph.vector("bias", random.values(product_of(dims)))},
                dims, {});
  }
  // x . W
  static uint32_t unbiased(OpCase& c, uint32_t x, const std::vector<uint32_t>& dims,
                           Random& random) {
    return c.op(abi::Op::matmul, {x, weight(c, x, dims, random)}, dims, {});
  }
  static uint32_t weight(OpCase& c, uint32_t x, const std::vector<uint32_t>& dims, Random& random) {
    const auto depth = static_cast<uint32_t>(c.graph.width(x));
    return c.graph.weight(
        "w", random_gptq({depth, product_of(dims), 4, 32, 1, abi::DType::f16}, random));
  }
  static uint32_t product_of(const std::vector<uint32_t>& dims) {
    return std::accumulate(dims.begin(), dims.end(), 1u, std::multiplies<>());
  }

  // The rms_norm of random x, its columns in another order. Its weights are up to `largest`.
  static uint32_t norm(OpCase& c, uint32_t width, Random& random, float largest = 1) {
    const Input x = c.random_input({width});
    std::vector<float> weights = random.values(width);
    for (float& weight : weights) weight *= largest;
    return c.op(abi::Op::rms_norm,
                {x, c.graph.vector("norm", weights),
                 c.graph.order("norm order", random.permutation(width))},
                {width}, abi::NormParams{1e-2f});
  }

  // silu(n . G) * (n . U) of an rms_norm n.
  static Expansion normed_gate(uint32_t rows, uint32_t width) {
    return normed_gate_of(160, rows, width);
  }
  static Expansion normed_gate_of(uint32_t depth, uint32_t rows, uint32_t width) {
    Random random(9);
    Expansion e(rows);
    const uint32_t n = norm(e, depth, random);
    const uint32_t gate = product(e, n, {width}, random), up = product(e, n, {width}, random);
    e.results = {e.op(abi::Op::silu_mul, {gate, up}, {width}, {})};
    return e;
  }

  // r + s . D with s = silu(n . G) * (n . U) of an rms_norm n.
  static Expansion mlp(uint32_t rows, uint32_t width, float largest,
                       abi::Op activation = abi::Op::silu_mul) {
    Random random(11);
    Expansion e(rows);
    const uint32_t n = norm(e, 160, random, largest);
    const uint32_t s = gate(e, n, width, random, activation);
    e.results = {residual(e, product(e, s, {96}, random), 96)};
    return e;
  }
  // Two of them whose products of gate and up come before both of D; others read the second's.
  static Expansion two_mlps(uint32_t rows) {
    Random random(12);
    Expansion e(rows);
    const uint32_t n = norm(e, 96, random);
    const uint32_t first = gate(e, n, 64, random), second = gate(e, n, 64, random);
    const uint32_t y = product(e, first, {96}, random);
    e.results = {residual(e, y, 96), residual(e, product(e, second, {96}, random), 96),
                 residual(e, second, 64)};
    return e;
  }
  static uint32_t gate(OpCase& c, uint32_t x, uint32_t width, Random& random,
                       abi::Op activation = abi::Op::silu_mul) {
    const uint32_t g = product(c, x, {width}, random), u = product(c, x, {width}, random);
    return c.op(activation, {g, u}, {width}, {});
  }
  static uint32_t residual(OpCase& c, uint32_t x, uint32_t width) {
    return c.op(abi::Op::add, {c.random_input({width}), x}, {width}, abi::AddParams{});
  }

  // silu(x . G) * (x . U), or with gelu.
  static Expansion gated(uint32_t rows, uint32_t width, abi::Op activation = abi::Op::silu_mul) {
    return gated_of(160, rows, width, activation);
  }
  static Expansion gated_of(uint32_t depth, uint32_t rows, uint32_t width,
                            abi::Op activation = abi::Op::silu_mul) {
    Random random(5);
    Expansion e(rows);
    const Input x = e.random_input({depth});
    const uint32_t gate = product(e, x, {width}, random), up = product(e, x, {width}, random);
    e.results = {e.op(activation, {gate, up}, {width}, {})};
    return e;
  }

  // (silu(x . G) * (x . U)) . D: what the fused step stores may be made for D alone.
  static Expansion gated_then_product(uint32_t rows, uint32_t width) {
    Random random(20);
    Expansion e = gated(rows, width);
    e.results = {product(e, e.results[0], {72}, random)};
    return e;
  }

  // The same with a U that is stored differently from G: 4 bits, groups of 32, scales of f16.
  static Expansion gated_with(uint32_t rows, uint8_t bits, uint32_t group_size, abi::DType scales) {
    Random random(8);
    Expansion e(rows);
    const Input x = e.random_input({160});
    const uint32_t gate = product(e, x, {72}, random);
    const StoredWeight u = random_gptq({160, 72, bits, group_size, 1, scales}, random);
    const uint32_t up = e.op(abi::Op::matmul, {x, e.graph.weight("u", u)}, {72}, {});
    e.results = {e.op(abi::Op::silu_mul, {gate, up}, {72}, {})};
    return e;
  }

  // silu(x . G + bias) * (x . U), or with the bias on U.
  static Expansion gated_with_one_bias(uint32_t rows, bool is_of_gate) {
    Random random(18);
    Expansion e(rows);
    const Input x = e.random_input({160});
    const uint32_t gate = is_of_gate ? product(e, x, {72}, random) : unbiased(e, x, {72}, random);
    const uint32_t up = is_of_gate ? unbiased(e, x, {72}, random) : product(e, x, {72}, random);
    e.results = {e.op(abi::Op::silu_mul, {gate, up}, {72}, {})};
    return e;
  }

  // Products of one x, and nothing after them.
  static Expansion beside(uint32_t rows) {
    Random random(6);
    Expansion e(rows);
    const Input x = e.random_input({96});
    for (const uint32_t width : {72u, 24u, 40u})
      e.results.push_back(product(e, x, {width}, random));
    return e;
  }

  // x becomes queries, and keys and values in the cache; attention shows what the cache has.
  static Expansion heads(const AttentionShape& shape, uint32_t rows) {
    return heads_of(96, shape, rows);
  }
  static Expansion heads_of(uint32_t depth, const AttentionShape& shape, uint32_t rows) {
    Expansion e(rows);
    project(e, shape, rows, e.random_input({depth}));
    return e;
  }
  // Only one of queries, keys and values has a bias: the first, the second or the third.
  static Expansion heads_with_one_bias(const AttentionShape& shape, uint32_t rows, int biased) {
    Random random(19);
    Expansion e(rows);
    const Input x = e.random_input({96});
    uint32_t projected[3];
    for (int i = 0; i < 3; ++i) {
      const std::vector<uint32_t> dims = {i == 0 ? shape.heads : shape.kv_heads, shape.dim};
      projected[i] = i == biased ? product(e, x, dims, random) : unbiased(e, x, dims, random);
    }
    attend(e, shape, rows, {projected[0], projected[1], projected[2]});
    return e;
  }
  static Expansion normed_heads(const AttentionShape& shape, uint32_t rows) {
    return normed_heads_of(96, shape, rows);
  }
  static Expansion normed_heads_of(uint32_t depth, const AttentionShape& shape, uint32_t rows) {
    Random random(10);
    Expansion e(rows);
    project(e, shape, rows, norm(e, depth, random));
    return e;
  }
  static void project(Expansion& e, const AttentionShape& shape, uint32_t rows, uint32_t x,
                      std::optional<uint32_t> order = std::nullopt) {
    Random random(7);
    const uint32_t q = product(e, x, {shape.heads, shape.dim}, random);
    const uint32_t k = product(e, x, {shape.kv_heads, shape.dim}, random);
    const uint32_t v = product(e, x, {shape.kv_heads, shape.dim}, random);
    attend(e, shape, rows, {q, k, v, order});
  }

  // r + a . O of what attention writes, in another order where the shape says so.
  static Expansion attended(const AttentionShape& shape, uint32_t rows) {
    Random random(13);
    Expansion e(rows);
    const uint32_t width = shape.heads * shape.dim;
    std::optional<uint32_t> order;
    if (shape.ordered) order = e.graph.order("o", random.permutation(width));
    project(e, shape, rows, norm(e, 96, random), order);
    e.results = {residual(e, product(e, e.results[0], {72}, random), 72)};
    return e;
  }
  // The same, but the last rows are the first tokens of sequences of their own.
  static Expansion attended_beside_single_rows(const AttentionShape& shape, uint32_t rows) {
    Expansion e = attended(shape, rows);
    constexpr uint32_t singles = kSparePages;
    const uint32_t prompt = rows - singles, pages = e.shape.pages_per_sequence;
    e.shape.sequences = 1 + singles;
    e.step.length = {prompt};
    const std::vector<float> inv_freq = e.step.inv_freq;
    for (uint32_t s = 1; s <= singles; ++s) {
      e.step.sequence[prompt + s - 1] = s;
      e.step.position[prompt + s - 1] = 0;
      e.step.length.push_back(1);
      e.step.page.insert(e.step.page.end(), pages, pages + s - 1);
      e.step.inv_freq.insert(e.step.inv_freq.end(), inv_freq.begin(), inv_freq.end());
    }
    return e;
  }

  // y = residual + x . W, or silu(gate) * (x . W).
  static Expansion epilogue(abi::Op op, uint32_t rows, bool sum_is_first, bool has_bias) {
    Random random(3);
    Expansion e(rows);
    const Input x = e.random_input({160}), other = e.random_input({72});
    std::vector<uint32_t> in = {
        x, e.graph.weight("w", random_gptq({160, 72, 4, 32, 1, abi::DType::f16}, random))};
    if (has_bias) in.push_back(e.graph.vector("bias", random.values(72)));
    uint32_t left = other, right = e.op(abi::Op::matmul, in, {72}, {});
    if (sum_is_first) std::swap(left, right);
    const abi::NodeParams params =
        op == abi::Op::add ? abi::NodeParams(abi::AddParams{}) : abi::NodeParams{};
    e.results = {e.op(op, {left, right}, {72}, params)};
    return e;
  }

  // Queries and keys rotated, keys and values appended; attention shows what the cache has.
  static Expansion append(const AttentionShape& shape, uint32_t rows) {
    Expansion e(rows);
    const Input q = e.random_input({shape.heads, shape.dim});
    const Input k = e.random_input({shape.kv_heads, shape.dim});
    const Input v = e.random_input({shape.kv_heads, shape.dim});
    attend(e, shape, rows, {q, k, v});
    return e;
  }

  struct Heads {
    uint32_t q, k, v;
    std::optional<uint32_t> order = {};  // of what attention writes
  };
  static void attend(Expansion& e, const AttentionShape& shape, uint32_t rows, const Heads& in) {
    const uint32_t pages = abi::pages_for(rows, shape.page_tokens);
    const std::vector<uint32_t> dims = {pages + kSparePages, shape.page_tokens, shape.kv_heads,
                                        shape.dim};
    const uint32_t keys = e.graph.cache("keys", shape.cache, dims);
    const uint32_t values = e.graph.cache("values", shape.cache, dims);
    const abi::RopeParams rope{1.5f, shape.table};
    const uint32_t q = e.op(abi::Op::rope, {in.q}, {shape.heads, shape.dim}, rope);
    const uint32_t k = e.op(abi::Op::rope, {in.k}, {shape.kv_heads, shape.dim}, rope);
    e.graph.node(abi::Op::kv_append, {k, in.v, keys, values}, {}, {});
    std::vector<uint32_t> attended = {q, keys, values};
    if (in.order) attended.push_back(*in.order);
    e.results = {e.op(abi::Op::attention, attended, {shape.heads * shape.dim},
                      abi::AttentionParams{1 / std::sqrt(static_cast<float>(shape.dim))})};
    e.shape = {rows, 1, 1, pages};
    e.step.wanted = {0};
    for (uint32_t p = 1; p < pages; ++p) e.step.page.push_back(p);
    for (uint32_t table = 0; table <= shape.table; ++table)
      for (uint32_t i = 0; i < shape.dim / 2; ++i)
        e.step.inv_freq.push_back(
            static_cast<float>(std::pow(10000.0, -2.0 * i / shape.dim) / (table + 1)));
    e.step.inv_freq.back() = 0;  // a pair that is copied
  }
};

}  // namespace ropewalk::test
