// kernels.h — the steps of a layer of a Llama, with GPTQ weights of 4 bits in groups of 32, as
// chains that kernels_bench times.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/cuda/chain.h"

namespace ropewalk::cuda::bench {

// Sizes of the model, and how much of it a chain holds.
struct Sizes {
  uint32_t hidden, heads, head_dim, intermediate, vocab;
  uint32_t layers;           // for products and norms
  uint32_t rows, sequences;  // max of a step
  // For attention, since caches are large.
  uint32_t cache_layers, cache_sequences, context;
};

// Keys of a step that sees few.
inline uint32_t short_context(const Sizes& sizes) { return std::min(512u, sizes.context / 2); }

// A chain with its data on the device.
struct Kernel {
  std::unique_ptr<Chain> chain;
  uint32_t output;
  std::function<Work(const StepSize&)> work;
  // Samples of the exact output of a step, computed on the host in double.
  std::function<std::vector<Sample>(const StepSize&)> samples;
};

struct KernelName {
  std::string name;
  std::function<Kernel(Machine&, const Sizes&)> make;  // throws Failure (out_of_memory)
};

// What a decode step launches by default: embed; norm_qkv, attention_o and norm_mlp in each layer;
// logits. Then parts of these, and other choices: qkv, o, gate_up, down, lm_head, attention,
// attention_int8, norm.
std::vector<KernelName> kernel_names();

}  // namespace ropewalk::cuda::bench
