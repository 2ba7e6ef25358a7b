// llama_cpp_sampling — llama.cpp's time for one token through sampling_bench's chains `typical` and
// `nucleus`: the same samplers in the same order, then a draw, over 32000 logits from a normal
// distribution with standard deviation 3, with a history of 2048 ids.
//
// Not a part of the build, which has no llama.cpp. With its sources in $L and
// I="-I $L/include -I $L/ggml/include -I $L/ggml/src -I $L/src":
//
//   g++ -std=c++17 -O3 -DNDEBUG -fPIC -shared $I $L/src/llama-sampler.cpp -o libsampler.so
//   g++ -std=c++17 -O3 -DNDEBUG $I bench/llama_cpp_sampling.cpp ./libsampler.so \
//       -Wl,-z,lazy,--allow-shlib-undefined -o llama_cpp_sampling
//
// The library has undefined symbols (vocabularies, grammars); this chain calls none of them.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

#include "llama.h"

namespace {

constexpr int kVocabulary = 32000, kHistory = 2048, kTokens = 2000;

llama_sampler* make_chain(const std::vector<llama_sampler*>& links) {
  llama_sampler* chain = llama_sampler_chain_init({/*no_perf=*/true});
  for (llama_sampler* link : links) llama_sampler_chain_add(chain, link);
  return chain;
}

llama_sampler* penalty() {
  return llama_sampler_init_penalties(kVocabulary, kHistory, 1.15f, 0, 0);
}

// The same as llama_sampler_sample(), which needs a model.
llama_token sample(llama_sampler* chain, const std::vector<float>& logits) {
  std::vector<llama_token_data> candidates;
  candidates.reserve(logits.size());
  for (llama_token id = 0; id < kVocabulary; ++id) candidates.push_back({id, logits[id], 0});
  llama_token_data_array array{candidates.data(), candidates.size(), -1, false};
  llama_sampler_apply(chain, &array);
  const llama_token id = array.data[array.selected].id;
  llama_sampler_accept(chain, id);
  return id;
}

// CPU time of this thread, in seconds.
double processor_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

void measure(const char* name, llama_sampler* chain) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(kVocabulary);
  for (float& logit : logits) logit = normal(generator);
  for (int i = 0; i < kHistory; ++i)
    llama_sampler_accept(chain, static_cast<llama_token>(generator() % kVocabulary));

  std::vector<double> times;
  long sum = 0;  // of ids, so that nothing is optimised away
  for (int i = 0; i < kTokens; ++i) {
    const double begin = processor_time();
    sum += sample(chain, logits);
    times.push_back((processor_time() - begin) * 1e6);
  }
  std::sort(times.begin(), times.end());
  std::printf("llama.cpp %s: median %.0f us of processor time, least %.0f us, %d tokens (%ld)\n",
              name, times[kTokens / 2], times[0], kTokens, sum);
  llama_sampler_free(chain);
}

}  // namespace

int main() {
  measure("typical", make_chain({penalty(), llama_sampler_init_temp(0.7f),
                                 llama_sampler_init_top_k(40), llama_sampler_init_top_p(0.9f, 1),
                                 llama_sampler_init_min_p(0.05f, 1), llama_sampler_init_dist(42)}));
  measure("nucleus", make_chain({penalty(), llama_sampler_init_temp(0.7f),
                                 llama_sampler_init_top_p(0.9f, 1), llama_sampler_init_dist(42)}));
}
