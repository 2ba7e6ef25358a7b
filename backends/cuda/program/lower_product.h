// lower_product.h — steps that begin with a matmul: their weights, their epilogue and their kernel.
// Stateless.
#pragma once

#include "backends/cuda/gptq/matmul.h"
#include "backends/cuda/program/lower.h"

namespace ropewalk::cuda {

// The product of a step that begins with a matmul, without pointers: enough to plan memory.
Product product_of(const abi::Graph& graph, std::span<const uint32_t> nodes);

// Raises `needs` to what the step needs of the workspace.
void add_needs(const abi::CompileRequest& request, std::span<const uint32_t> nodes,
               const Target& target, WorkspaceNeeds& needs);

// Tells context.prepared which tensors the products of these steps read in prepared form, and which
// they compute.
void plan_x(std::span<const abi::Claim> steps, const CompileContext& context);

std::function<void(cudaStream_t)> lower_product(std::span<const uint32_t> nodes,
                                                const CompileContext& context);

}  // namespace ropewalk::cuda
