// quantize_bench — the parts of quantising one matrix: H, its factor, the columns, the errors.
//
// K inputs, N outputs, T tokens. FLOP, a product and its sum counted as two:
//   hessian   T K^2         the lower half of X^T X
//   factor    2/3 K^3       Cholesky and the inverse of the factor
//   columns   N K^2         every rounded column changes those behind it
//   errors    3 N K^2       x H x^T of the weights, of what solving and of what rounding changes
//   pull      2 K^3         P of --asymmetric-calibration
//   pack                    bytes of codes
// All cores work; the time is that of the clock. What other programs do changes it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/quantize/errors.h"
#include "core/quantize/pack.h"
#include "core/quantize/pull.h"

namespace ropewalk::quantize {
namespace {

constexpr uint32_t kTokens = 2048, kOutputs = 512;

uint32_t threads() { return std::max(1u, std::thread::hardware_concurrency()); }

// Values of f16, as a layer's inputs are; some inputs are much larger than others.
std::vector<float> values(size_t count, uint32_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> found(count);
  for (size_t i = 0; i < count; ++i)
    found[i] = static_cast<float>(static_cast<int32_t>(random() % 2048) - 1024) *
               (i % columns % 37 == 0 ? 0x1p-6f : 0x1p-10f);
  return found;
}

// One matrix of each size, made once.
struct Layer {
  explicit Layer(uint32_t inputs)
      : x(values(size_t{kTokens} * inputs, inputs, 1)),
        weight(values(size_t{kOutputs} * inputs, inputs, 2)),
        hessian(inputs) {
    settings.threads = threads();
    hessian.add(x, settings.threads);
  }

  Settings settings;
  std::vector<float> x, weight;
  Hessian hessian;
};

const Layer& layer_of(const benchmark::State& state) {
  static std::unique_ptr<Layer> layer;
  const auto inputs = static_cast<uint32_t>(state.range(0));
  if (!layer || layer->hessian.inputs() != inputs) layer = std::make_unique<Layer>(inputs);
  return *layer;
}

void tell_rate(benchmark::State& state, double flop) {
  state.counters["FLOP/s"] = benchmark::Counter(flop * static_cast<double>(state.iterations()),
                                                benchmark::Counter::kIsRate);
}

void hessian(benchmark::State& state) {
  const Layer& layer = layer_of(state);
  const double k = layer.hessian.inputs();
  Hessian sums(layer.hessian.inputs());
  for (auto _ : state) sums.add(layer.x, threads());
  tell_rate(state, kTokens * k * k);
}

void factor(benchmark::State& state) {
  const Layer& layer = layer_of(state);
  const double k = layer.hessian.inputs();
  for (auto _ : state) benchmark::DoNotOptimize(factorise(layer.hessian, layer.settings));
  tell_rate(state, 2.0 / 3 * k * k * k);
}

void columns(benchmark::State& state, Search search) {
  const Layer& layer = layer_of(state);
  const double k = layer.hessian.inputs();
  Settings settings = layer.settings;
  settings.search = search;
  const Factor found = factorise(layer.hessian, settings).value();
  const std::vector<bool> dead = dead_columns(diagonal_of(layer.hessian));
  for (auto _ : state) {
    std::vector<float> work = layer.weight;
    benchmark::DoNotOptimize(solve(work, kOutputs, found, dead, settings));
  }
  tell_rate(state, kOutputs * k * k);
}

void nearest(benchmark::State& state) {
  const Layer& layer = layer_of(state);
  for (auto _ : state)
    benchmark::DoNotOptimize(
        round_to_nearest(layer.weight, kOutputs, layer.hessian.inputs(), layer.settings));
}

void errors(benchmark::State& state) {
  const Layer& layer = layer_of(state);
  const double k = layer.hessian.inputs();
  const QuantizedMatrix one =
      round_to_nearest(layer.weight, kOutputs, layer.hessian.inputs(), layer.settings);
  Settings coarse = layer.settings;
  coarse.bits = 3;
  const QuantizedMatrix other =
      round_to_nearest(layer.weight, kOutputs, layer.hessian.inputs(), coarse);
  for (auto _ : state)
    benchmark::DoNotOptimize(
        relative_errors(layer.weight, {&one, &other}, layer.hessian, threads()));
  tell_rate(state, 3 * kOutputs * k * k);
}

void pull(benchmark::State& state) {
  const Layer& layer = layer_of(state);
  const double k = layer.hessian.inputs();
  const Factor found = factorise(layer.hessian, layer.settings).value();
  Shift shift(layer.hessian.inputs());
  shift.add(layer.x, values(layer.x.size(), layer.hessian.inputs(), 3), threads());
  for (auto _ : state) benchmark::DoNotOptimize(pull_of(shift, found, threads()));
  tell_rate(state, 2 * k * k * k);
}

void pack_codes(benchmark::State& state, uint8_t bits) {
  const Layer& layer = layer_of(state);
  Settings settings = layer.settings;
  settings.bits = bits;
  const QuantizedMatrix matrix =
      round_to_nearest(layer.weight, kOutputs, layer.hessian.inputs(), settings);
  for (auto _ : state) benchmark::DoNotOptimize(pack(matrix, ZeroForm::v1));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(matrix.codes.size()));
}

// The inputs of a 1.1B model's layers.
#define SIZES Unit(benchmark::kMillisecond)->UseRealTime()->Arg(2048)->Arg(5632)
BENCHMARK(hessian)->SIZES;
BENCHMARK(factor)->SIZES;
BENCHMARK_CAPTURE(columns, weighted, Search::weighted)->SIZES;
BENCHMARK_CAPTURE(columns, plain, Search::none)->SIZES;
BENCHMARK(nearest)->SIZES;
BENCHMARK(errors)->SIZES;
BENCHMARK(pull)->SIZES;
BENCHMARK_CAPTURE(pack_codes, 3, 3)->SIZES;
BENCHMARK_CAPTURE(pack_codes, 4, 4)->SIZES;
#undef SIZES

}  // namespace
}  // namespace ropewalk::quantize

BENCHMARK_MAIN();
