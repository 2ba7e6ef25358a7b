#include "backends/cuda/device/tuning_names.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "core/abi/guard.h"

namespace ropewalk::cuda {
namespace {

constexpr TuningName kNames[] = {
    {"lean-rows", &Tuning::lean_rows, 0, 64, "max rows for which weights are streamed in one wave"},
    {"tiles8-rows", &Tuning::tiles8_rows, 0, 512, "max rows for which 8 are multiplied at a time"},
    {"tiles16-rows", &Tuning::tiles16_rows, 0, 512, "max rows for which 16 are"},
    {"tiles32-rows", &Tuning::tiles32_rows, 0, 512, "max rows for which 32 are"},
    {"tiles64-rows", &Tuning::tiles64_rows, 0, 512, "max rows for which 64 are; beyond, cuBLAS"},
    {"dense-rows", &Tuning::dense_rows, 0, 512,
     "max rows of dense weights that cuBLAS does not multiply"},
    {"stream-rows", &Tuning::stream_rows, 0, 2,
     "max rows for which dense weights are streamed in one wave"},
    {"splits", &Tuning::splits, 0, 512,
     "runs that K of a product is divided into; 0: by the model"},
    {"min-blocks", &Tuning::min_blocks, 1, 512, "min blocks of K in a run"},
    {"start-blocks", &Tuning::start_blocks, 0, 64,
     "cost of starting a thread block, in blocks of K"},
    {"busy-blocks", &Tuning::busy_blocks, 1, 16, "thread blocks that keep a multiprocessor busy"},
    {"sum-rate", &Tuning::sum_rate, 10, 10000, "bytes of sums that move while memory moves 100"},
    {"end-blocks", &Tuning::segment_blocks, 0, 64,
     "cost of finishing a warp's tile, in blocks of K"},
    {"ahead-chunks", &Tuning::chunks_ahead, 0, 64,
     "chunks of weights of a warp that are requested into the cache before a kernel's wait"},
    {"late-start", &Tuning::lets_next_late, 0, 1,
     "1: a streaming kernel lets the next start once all is requested; 0: at its begin"},
    {"slice-waves", &Tuning::slice_waves, 1, 16, "waves of cuBLAS's tiles in a slice of a weight"},
    {"slice-mib", &Tuning::slice_mib, 1, 4096, "max MiB of a slice"},
    {"joined", &Tuning::joined, 0, 1, "1: weights that read the same x share a product of cuBLAS"},
    {"max-rows", &Tuning::max_rows, 0, 2048, "max rows of a step; 0: by the size of the device"},
    {"min-keys", &Tuning::min_keys, 1, 65536, "min keys in a run of attention"},
    {"start-keys", &Tuning::start_keys, 0, 4096, "cost of starting a run, in keys"},
    {"busy-runs", &Tuning::busy_runs, 1, 16,
     "thread blocks of attention that keep a multiprocessor busy"},
    {"ring-runs", &Tuning::ring_runs, 1, 16, "the same where keys come through a ring"},
    {"prompt-rows", &Tuning::prompt_rows, 1, 512,
     "min rows of a program that attends to prompts in tiles"},
};

[[noreturn]] void refuse_tuning(const std::string& reason) {
  throw abi::Failure(abi::StatusCode::invalid_argument, "option tune: " + reason);
}

const TuningName& name_of(std::string_view name) {
  const auto found =
      std::ranges::find(kNames, name, [](const TuningName& n) { return std::string_view(n.name); });
  if (found != std::end(kNames)) return *found;
  std::string all;
  for (const TuningName& known : kNames) all += std::string(all.empty() ? "" : " ") + known.name;
  refuse_tuning("no '" + std::string(name.substr(0, 16)) + "'; there are " + all);
}

uint32_t number_of(const TuningName& name, std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size() && value >= name.min &&
      value <= name.max)
    return value;
  refuse_tuning(std::string(name.name) + " is '" + std::string(text.substr(0, 30)) +
                "', expected a number from " + std::to_string(name.min) + " to " +
                std::to_string(name.max));
}

}  // namespace

std::span<const TuningName> tuning_names() { return kNames; }

Tuning parse_tuning(std::string_view text) {
  Tuning tuning;
  while (!text.empty()) {
    const std::string_view setting = text.substr(0, text.find(','));
    text.remove_prefix(std::min(setting.size() + 1, text.size()));
    const size_t cut = setting.find('=');
    const TuningName& name = name_of(setting.substr(0, cut));
    tuning.*name.value =
        number_of(name, cut == std::string_view::npos ? "" : setting.substr(cut + 1));
  }
  return tuning;
}

}  // namespace ropewalk::cuda
