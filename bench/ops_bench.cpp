// ops_bench — every op on every device found, at the sizes of a 13B model (hidden 5120, 40 heads of
// 128).
//
//   matmul     bytes = packed weight + x + y;      FLOP = 2 rows depth width
//   attention  bytes = keys and values, f16;       one token over `keys` of them
//   others     bytes = what they read and write;   FLOP not counted
//
// "of_read" is the fraction of the device's measured read bandwidth, "of_copy" of its copy
// bandwidth (reads and writes), "of_flops" of its matrix product rate. A kernel at its limit has 1
// in one.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <map>

#include "core/abi/kv_page.h"
#include "tests/ops/harness/devices.h"
#include "tests/ops/harness/session.h"

namespace ropewalk::test {
namespace {

using benchmark::Counter;
using benchmark::State;

constexpr uint32_t kHidden = 5120, kHeads = 40, kDim = 128;

constexpr std::pair<const char*, abi::Op> kPlainOps[] = {
    {"embed", abi::Op::embed},       {"rms_norm", abi::Op::rms_norm},
    {"rope", abi::Op::rope},         {"kv_append", abi::Op::kv_append},
    {"silu_mul", abi::Op::silu_mul}, {"gelu_mul", abi::Op::gelu_mul},
    {"add", abi::Op::add},           {"permute", abi::Op::permute},
    {"low_rank", abi::Op::low_rank}};

// Measured once for each device.
double ceiling(const std::string& name, abi::Measurement what) {
  static std::map<std::pair<std::string, abi::Measurement>, double> known;
  double& value = known[{name, what}];
  if (value == 0) check(device(name).measure(what, &value), "measure");
  return value;
}

struct Work {
  double bytes, flops;
};

double activation_bytes(const std::string& name) {
  return device(name).info().activation == abi::DType::f32 ? 4 : 2;
}

void report(State& state, const std::string& name, const Work& work) {
  const double runs = static_cast<double>(state.iterations());
  state.counters["GB/s"] = Counter(work.bytes * runs / 1e9, Counter::kIsRate);
  state.counters["of_read"] = Counter(
      work.bytes * runs / ceiling(name, abi::Measurement::read_bandwidth), Counter::kIsRate);
  state.counters["of_copy"] = Counter(
      work.bytes * runs / ceiling(name, abi::Measurement::copy_bandwidth), Counter::kIsRate);
  if (work.flops == 0) return;
  state.counters["GFLOP/s"] = Counter(work.flops * runs / 1e9, Counter::kIsRate);
  state.counters["of_flops"] =
      Counter(work.flops * runs / ceiling(name, abi::Measurement::matmul_rate), Counter::kIsRate);
}

// GPTQ of 4 bits, groups of 32: the reference workload.
void matmul(State& state, const std::string& name, uint32_t rows, uint32_t depth, uint32_t width) {
  Random random(1);
  const StoredWeight weight = random_gptq({depth, width, 4, 32, 1, abi::DType::f16}, random);
  Case c;
  const uint32_t x = c.activation("x", {abi::kRows, depth});
  const uint32_t y = c.activation("y", {abi::kRows, width});
  c.node(abi::Op::matmul, {x, c.weight("w", weight)}, {y}, {});
  Session session(c, device(name), {rows, rows, 1, 1}, Steps::alone);
  session.set(x, random.values(uint64_t{rows} * depth));
  const StepData step = plain_step(rows);
  for (auto _ : state) session.repeat(step);

  uint64_t bytes = 0;
  check(device(name).packed_bytes(weight.view(), &bytes), "packed_bytes");
  report(state, name,
         {static_cast<double>(bytes) + activation_bytes(name) * rows * (depth + width),
          2.0 * rows * depth * width});
}

void attention(State& state, const std::string& name, uint32_t keys, uint32_t rows) {
  const uint32_t pages = abi::pages_for(keys, abi::kDefaultPageTokens);
  Case c;
  const uint32_t q = c.activation("q", {abi::kRows, kHeads, kDim});
  const uint32_t y = c.activation("y", {abi::kRows, kHeads * kDim});
  const std::vector<uint32_t> cache = {pages, abi::kDefaultPageTokens, kHeads, kDim};
  c.node(abi::Op::attention,
         {q, c.cache("keys", abi::DType::f16, cache), c.cache("values", abi::DType::f16, cache)},
         {y}, abi::AttentionParams{1 / std::sqrt(static_cast<float>(kDim))});
  Session session(c, device(name), {rows, 1, 1, pages}, Steps::alone);
  session.set(q, Random(1).values(uint64_t{rows} * kHeads * kDim));
  StepData step = plain_step(rows);
  for (uint32_t r = 0; r < rows; ++r) step.position[r] = keys - rows + r;
  step.length = {keys};
  step.wanted = {0};
  for (uint32_t p = 1; p < pages; ++p) step.page.push_back(p);
  for (auto _ : state) session.repeat(step);
  report(state, name, {2.0 * 2 * keys * kHeads * kDim, 4.0 * rows * keys * kHeads * kDim});
}

// An op without matrix products, on rows of the hidden size.
void plain(State& state, const std::string& name, abi::Op op, uint32_t rows) {
  Random random(1);
  Case c;
  const std::vector<uint32_t> wide = {abi::kRows, kHidden}, heads = {abi::kRows, kHeads, kDim};
  const std::vector<uint32_t> dims = {abi::pages_for(rows, abi::kDefaultPageTokens),
                                      abi::kDefaultPageTokens, kHeads, kDim};
  std::vector<uint32_t> inputs;
  const auto input = [&](const std::vector<uint32_t>& shape) {
    return inputs.emplace_back(c.activation("x" + std::to_string(inputs.size()), shape));
  };
  double touched = 2;  // rows of activations that are read or written
  if (op == abi::Op::embed) {
    const StoredWeight table =
        random_dense(abi::DType::f16, abi::WeightUse::embed, kHidden, 1000, random);
    c.node(op, {c.weight("table", table)}, {c.activation("y", wide)}, abi::EmbedParams{});
    touched = 1 + 2 / activation_bytes(name);
  } else if (op == abi::Op::rms_norm) {
    c.node(op, {input(wide), c.vector("w", random.values(kHidden))}, {c.activation("y", wide)},
           abi::NormParams{1e-5f});
  } else if (op == abi::Op::permute) {
    c.node(op, {input(wide), c.order("order", random.permutation(kHidden))},
           {c.activation("y", wide)}, {});
  } else if (op == abi::Op::rope) {
    c.node(op, {input(heads)}, {c.activation("y", heads)}, abi::RopeParams{});
  } else if (op == abi::Op::kv_append) {
    const uint32_t k = input(heads), v = input(heads);
    c.node(op,
           {k, v, c.cache("keys", abi::DType::f16, dims), c.cache("values", abi::DType::f16, dims)},
           {}, {});
    touched = 2 + 2 * 2 / activation_bytes(name);
  } else if (op == abi::Op::low_rank) {  // rank 64, one adapter
    constexpr uint32_t kRank = 64;
    const std::vector<float> matrix = random.values(uint64_t{kRank} * kHidden);
    const uint32_t x = input(wide), y = input(wide);
    c.node(op,
           {x, y, c.matrices("a", {1, kHidden, kRank}, matrix),
            c.matrices("b", {1, kRank, kHidden}, matrix), c.ranks("ranks", {kRank})},
           {c.activation("y", wide)}, {});
    touched = 3 + 2.0 * kRank * 2 / (activation_bytes(name) * rows);
  } else {
    const uint32_t a = input(wide), b = input(wide);
    const bool adds = op == abi::Op::add;
    c.node(op, {a, b}, {c.activation("y", wide)},
           adds ? abi::NodeParams(abi::AddParams{}) : abi::NodeParams{});
    touched = 3;
  }
  Session session(c, device(name), {rows, rows, 1, dims[0]}, Steps::alone);
  for (const uint32_t x : inputs) session.set(x, random.values(uint64_t{rows} * kHidden));
  StepData step = plain_step(rows);
  step.inv_freq.assign(kDim / 2, 0.01f);
  if (op == abi::Op::low_rank) step.adapter = {0};
  for (auto _ : state) session.repeat(step);
  report(state, name, {touched * activation_bytes(name) * rows * kHidden, 0});
}

void add_benchmarks(const std::string& name) {
  const auto add = [&](const std::string& what, auto body) {
    benchmark::RegisterBenchmark((what + "/" + name).c_str(), body)
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  };
  for (const uint32_t rows : {1u, 8u, 256u})
    add("matmul_gptq4_g32_5120x5120/rows:" + std::to_string(rows),
        [=](State& state) { matmul(state, name, rows, 5120, 5120); });
  for (const uint32_t rows : {1u, 256u})
    add("matmul_gptq4_g32_192x512/rows:" + std::to_string(rows),
        [=](State& state) { matmul(state, name, rows, 192, 512); });
  for (const uint32_t keys : {512u, 8192u})
    add("attention_40x128/keys:" + std::to_string(keys) + "/rows:1",
        [=](State& state) { attention(state, name, keys, 1); });
  add("attention_40x128/keys:2048/rows:256",
      [=](State& state) { attention(state, name, 2048, 256); });
  for (const auto& [what, op] : kPlainOps)
    for (const uint32_t rows : {1u, 256u})
      add(std::string(what) + "_5120/rows:" + std::to_string(rows),
          [=, op = op](State& state) { plain(state, name, op, rows); });
}

void print_ceilings(const std::string& name) {
  const abi::DeviceInfo& info = device(name).info();
  std::printf("%s: %s, %s, %u lanes; read %.1f GB/s, copy %.1f GB/s, product %.0f GFLOP/s\n",
              name.c_str(), info.name, info.driver, info.lanes,
              ceiling(name, abi::Measurement::read_bandwidth) / 1e9,
              ceiling(name, abi::Measurement::copy_bandwidth) / 1e9,
              ceiling(name, abi::Measurement::matmul_rate) / 1e9);
}

}  // namespace
}  // namespace ropewalk::test

int main(int argc, char** argv) {
  using namespace ropewalk::test;
  benchmark::Initialize(&argc, argv);
  for (const std::string& name : device_names()) {
    if (is_variant(name)) continue;
    print_ceilings(name);
    add_benchmarks(name);
  }
  benchmark::RunSpecifiedBenchmarks();
}
