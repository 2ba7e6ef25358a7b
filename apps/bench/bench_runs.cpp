#include "apps/bench/bench_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "apps/signals.h"
#include "core/abi/random_fill.h"
#include "core/base/log.h"
#include "core/exec/cached_text.h"
#include "core/graph/work.h"

namespace ropewalk {
namespace {

using Clock = std::chrono::steady_clock;

// A short prompt is repeated for at least this long.
constexpr double kMinSeconds = 0.5;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Any ids do; the same in every run.
std::vector<int32_t> some_ids(uint32_t count, uint32_t vocab) {
  std::vector<int32_t> ids(count);
  for (uint32_t i = 0; i < count; ++i)
    ids[i] = static_cast<int32_t>((uint64_t{i} * 2654435761u + 1) % vocab);
  return ids;
}

void prefill(Runtime& runtime, std::span<const int32_t> ids) {
  Executor& executor = runtime.executor();
  CachedText text(runtime.cache(), runtime.rope_tables());
  text.append(ids);
  while (text.pending() > 0) {
    throw_if_stopped();
    executor.run_one(text.next(executor.max_rows()));
  }
}

// FLOP of one prompt with logits of its last token only.
double prefill_flop(const Runtime& runtime, double tokens) {
  return flop_of(runtime.model().graph(),
                 {.rows = tokens, .wanted = 1, .pairs = tokens * (tokens + 1) / 2});
}

std::optional<abi::StepCounts> counts_of_last_step(Runtime& runtime) {
  abi::Device& device = *runtime.device().device;
  void* extension = nullptr;
  abi::StepCounts counts;
  if (!device.extension(abi::kStepCounts, &extension).ok() ||
      !static_cast<abi::StepCounting*>(extension)->last_step(&counts).ok())
    return std::nullopt;
  return counts;
}

// Compiles all programs before the clock starts: the last step of a prompt has any size.
void warm_up(Runtime& runtime) {
  const WarmUp done = runtime.executor().warm_up();
  if (done.programs > 0)
    verbose(fmt::format("compiled {} programs in {:.2f} s", done.programs, done.seconds));
}

// Random numbers that the host generates once and sends as often as needed.
class HostFill {
 public:
  explicit HostFill(abi::Device& device) : device_(device), piece_((size_t{16} << 20) / 4) {
    std::mt19937 random(1);
    for (uint32_t& word : piece_) word = abi::random_halves(static_cast<uint32_t>(random()));
  }

  void fill(const abi::Slice& to, const std::string& name) {
    const std::span<const std::byte> piece = std::as_bytes(std::span(piece_));
    for (uint64_t done = 0; done < to.bytes; done += piece.size()) {
      abi::Slice part = to;
      part.offset += done;
      part.bytes = std::min<uint64_t>(piece.size(), to.bytes - done);
      check(device_.write(part, piece.first(part.bytes)), name);
    }
  }

 private:
  abi::Device& device_;
  std::vector<uint32_t> piece_;
};

}  // namespace

void fill_cache(Runtime& runtime) {
  abi::Device& device = *runtime.device().device;
  void* extension = nullptr;
  const bool by_itself = device.extension(abi::kRandomFill, &extension).ok();
  std::optional<HostFill> host;
  if (!by_itself) host.emplace(device);
  uint32_t seed = 0;
  for (const GraphTensor& tensor : runtime.model().graph().tensors) {
    if (tensor.kind != abi::TensorKind::cache) continue;
    if (by_itself)
      check(static_cast<abi::RandomFill*>(extension)->fill(tensor.at, ++seed), tensor.name);
    else
      host->fill(tensor.at, tensor.name);
  }
}

std::optional<double> fraction_of_ideal(const BenchRow& row, const Ceiling& ceiling) {
  const bool decode = row.kind == "decode";
  const std::optional<double> ideal = decode ? ceiling.read_gbs : ceiling.tflops;
  if (!ideal) return std::nullopt;
  return (decode ? row.needed_gbs : row.tflops) / *ideal;
}

std::optional<double> fraction_by_copy(const BenchRow& row, const Ceiling& ceiling) {
  return fraction_of_ideal(row, {ceiling.copy_gbs, ceiling.copy_gbs, ceiling.tflops});
}

BenchRow bench_prefill(Runtime& runtime, uint32_t context) {
  const std::vector<int32_t> ids = some_ids(context, runtime.executor().vocab_size());
  warm_up(runtime);
  prefill(runtime, std::span(ids).last(std::min(context, runtime.executor().max_rows())));
  const uint64_t steps_before = runtime.executor().steps_run();
  uint32_t rounds = 0;
  const Clock::time_point start = Clock::now();
  double seconds = 0;
  while (seconds < kMinSeconds) {
    prefill(runtime, ids);
    ++rounds;
    seconds = seconds_since(start);
  }
  const uint64_t steps = runtime.executor().steps_run() - steps_before;
  const double bytes =
      static_cast<double>(runtime.weight_bytes_per_step()) * static_cast<double>(steps);
  return {.kind = "prefill",
          .batch = 1,
          .context = context,
          .adapters = 0,
          .steps = steps,
          .tokens_per_s = rounds * context / seconds,
          .gbs = bytes / seconds / 1e9,
          .tflops = rounds * prefill_flop(runtime, context) / seconds / 1e12,
          .needed_gbs = 0,
          .counts = counts_of_last_step(runtime)};
}

BenchRow bench_decode(Runtime& runtime, const DecodeRun& run) {
  const std::vector<int32_t> ids = some_ids(run.batch, runtime.executor().vocab_size());
  std::vector<std::unique_ptr<Sequence>> sequences;
  for (uint32_t i = 0; i < run.batch; ++i) {
    sequences.push_back(std::make_unique<Sequence>(runtime.cache()));
    sequences.back()->set_adapter(run.adapters ? i % run.adapters : abi::kNoAdapter);
    sequences.back()->reserve(run.context);
    sequences.back()->advance(run.context);
  }
  const auto step = [&] {
    throw_if_stopped();
    std::vector<Chunk> chunks;
    for (uint32_t i = 0; i < run.batch; ++i)
      chunks.push_back({sequences[i].get(),
                        std::span(ids).subspan(i, 1),
                        Wanted::largest,
                        sequences[i]->length() + 1,
                        {runtime.executor().vocab_size()}});
    for (const ChunkResult& result : runtime.executor().run(chunks)) result.value();
  };
  warm_up(runtime);
  step();
  for (const auto& sequence : sequences) sequence->truncate(run.context);

  const Clock::time_point start = Clock::now();
  double cached = 0;
  for (uint32_t i = 0; i < run.steps; ++i) {
    step();
    cached += static_cast<double>(runtime.cache_bytes_per_token()) * run.batch *
              sequences.front()->length();
  }
  const double seconds = seconds_since(start);
  const auto rate = [&](double weights) { return (weights * run.steps + cached) / seconds / 1e9; };
  return {.kind = "decode",
          .batch = run.batch,
          .context = run.context,
          .adapters = run.adapters,
          .steps = run.steps,
          .tokens_per_s = double{1} * run.batch * run.steps / seconds,
          .gbs = rate(static_cast<double>(runtime.weight_bytes_per_step())),
          .tflops = 0,
          .needed_gbs = rate(static_cast<double>(stored_weight_bytes(runtime.model().graph()))),
          .counts = counts_of_last_step(runtime)};
}

}  // namespace ropewalk
