// program.h — a graph bound to addresses, run node by node.
//
// Compiled once for a row bucket. The program borrows its device's memory, pool and kernels, so it
// must be released first. enqueue() has run the step when it returns.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/cpu/memory.h"
#include "backends/cpu/ops/ops.h"
#include "core/abi/backend.h"

namespace ropewalk::cpu {

// What a program needs of its device.
struct Host {
  const Memory& memory;
  Pool& pool;
  const Kernels& kernels;
};

// Of CompileRequest::workspace.
uint64_t workspace_bytes(const abi::CompileRequest& request, uint32_t lanes);

class Program final : public abi::Program {
 public:
  // Throws Failure where a node is not one that claim_all() claims or a slice is outside its
  // buffer.
  Program(const abi::CompileRequest& request, const Host& host);

  abi::Status enqueue(const abi::Step& step) noexcept override;
  void release() noexcept override { delete this; }

 private:
  struct PackedWeight {
    std::string name;
    const std::byte* at;
    abi::Tensor expected;
    abi::WeightUse use;
  };

  void check_weights();

  const Host host_;
  const abi::ProgramShape shape_;
  std::vector<std::function<void(const Frame&)>> stages_;
  std::vector<PackedWeight> weights_;
  bool weights_checked_ = false;
  float* workspace_;
  float* rotations_;  // unused where keys are rotated before the cache
  std::vector<RowBlock> blocks_;
};

}  // namespace ropewalk::cpu
