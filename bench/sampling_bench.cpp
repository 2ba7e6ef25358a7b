// sampling_bench — time for one token through the sampling chain, over a vocabulary of 32000.
//
// Nothing here waits for memory: 32000 candidates are 256 kB. The cost is passes over them: one
// that fills them in and checks the logits, one for each link that reads all, and one after each
// link to check its result. A decode step of a 13B model takes some 10 ms, so 0.1 ms is 1 % of it.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/sample/chain.h"

namespace ropewalk {
namespace {

constexpr size_t kVocabulary = 32000;
constexpr size_t kHistory = 2048;

using Links = std::vector<std::pair<std::string, std::string>>;  // name and main option

Chain make_chain(const Links& names) {
  std::vector<ChainLink> links;
  for (const auto& [name, value] : names) {
    const std::filesystem::path folder = RW_MODULE_DIR;
    const Library library(folder / "samplers" / (name + ".so"));
    PluginChoice choice{.name = name, .key = "bench"};
    choice.main = make_scalar(value, {});
    links.push_back({name, library.create<abi::Sampler>(choice, nullptr)});
  }
  return Chain(std::move(links), 42);
}

void sample_tokens(benchmark::State& state, const Links& names) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(kVocabulary);
  for (float& logit : logits) logit = normal(generator);
  std::vector<int32_t> history(kHistory);
  for (int32_t& id : history) id = static_cast<int32_t>(generator() % kVocabulary);

  Chain chain = make_chain(names);
  for (auto _ : state) benchmark::DoNotOptimize(chain.sample(logits, history, kHistory));
}

const Links kTypical = {{"repetition-penalty", "1.15"},
                        {"temperature", "0.7"},
                        {"top-k", "40"},
                        {"top-p", "0.9"},
                        {"min-p", "0.05"}};

// The chain of the configuration example: nothing shortens the list before top-p.
const Links kNucleus = {{"repetition-penalty", "1.15"}, {"temperature", "0.7"}, {"top-p", "0.9"}};

BENCHMARK_CAPTURE(sample_tokens, greedy, Links{});
BENCHMARK_CAPTURE(sample_tokens, typical, kTypical);
BENCHMARK_CAPTURE(sample_tokens, nucleus, kNucleus);
BENCHMARK_CAPTURE(sample_tokens, repetition_penalty,
                  Links{{"repetition-penalty", "1.15"}, {"temperature", "0"}});
BENCHMARK_CAPTURE(sample_tokens, temperature, Links{{"temperature", "0.7"}});
BENCHMARK_CAPTURE(sample_tokens, top_k_1, Links{{"top-k", "1"}});
BENCHMARK_CAPTURE(sample_tokens, top_k_40, Links{{"top-k", "40"}});
BENCHMARK_CAPTURE(sample_tokens, top_k_5000, Links{{"top-k", "5000"}, {"temperature", "0"}});
BENCHMARK_CAPTURE(sample_tokens, top_p, Links{{"top-p", "0.9"}});
BENCHMARK_CAPTURE(sample_tokens, min_p, Links{{"min-p", "0.05"}});
BENCHMARK_CAPTURE(sample_tokens, typical_p, Links{{"typical", "0.9"}});
BENCHMARK_CAPTURE(sample_tokens, tail_free, Links{{"tail-free", "0.9"}});
BENCHMARK_CAPTURE(sample_tokens, eta, Links{{"eta", "0.0003"}});
BENCHMARK_CAPTURE(sample_tokens, mirostat, Links{{"mirostat", "2"}});
BENCHMARK_CAPTURE(sample_tokens, xtc, Links{{"xtc", "0.5"}});
BENCHMARK_CAPTURE(sample_tokens, dry, Links{{"dry", "0.8"}});

}  // namespace
}  // namespace ropewalk

BENCHMARK_MAIN();
