// lower_product.h — steps that begin with a matmul: its weights, its epilogue, and which way it
// goes. Stateless.
#pragma once

#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/program/lower.h"

namespace ropewalk::cuda {

// What a step that begins with a matmul is, without pointers: for the memory plan.
Product product_of(const abi::Graph& graph, std::span<const uint32_t> nodes);

// Adds what the step needs of the workspace.
void add_needs(const abi::CompileRequest& request, std::span<const uint32_t> nodes,
               const Target& target, Workspace& all);

std::function<void(cudaStream_t)> lower_product(std::span<const uint32_t> nodes,
                                                const Surroundings& around);

}  // namespace ropewalk::cuda
