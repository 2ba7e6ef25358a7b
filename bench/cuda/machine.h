// machine.h — the CUDA device without the ABI, so that programs with different options use the same
// weights; and options as a configuration would give them.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "backends/cuda/program/measure.h"
#include "backends/cuda/program/program.h"

namespace ropewalk::cuda::bench {

// As "backend.matvec: tiles16" would be in a configuration; empty: the defaults.
using Settings = std::vector<std::pair<std::string, std::string>>;

Options options_of(const Settings& settings);
// "matvec=tiles16 tune:splits=3"; "default" for none.
std::string name_of(const Settings& settings);

struct Ceilings {
  double read, products;  // bytes/s; FLOP/s of f16, 0 where there is no cuBLAS
};

class Machine {
 public:
  // Throws Failure (no_device).
  Machine() : context_(0, kStepLimitMs, Tuning{}), memory_(context_), shared_(context_) {}

  DeviceParts parts(const Options& options) {
    return {context_, memory_, weights_, shared_, options, timer_};
  }
  const char* name() const { return context_.info().name; }
  const char* driver() const { return context_.info().driver; }
  Memory& memory() { return memory_; }

  double pack(const abi::Weight& weight, const abi::Slice& at);  // returns the packed bytes
  void fill(const abi::Slice& at, uint32_t seed);
  void wait() { context_.wait(); }
  Ceilings ceilings();
  // Seconds that the device takes for the launches of `body`.
  double time(const std::function<void()>& body);

 private:
  static constexpr uint64_t kStepLimitMs = 20000;

  Context context_;
  Memory memory_;
  PackedWeights weights_;
  SharedResources shared_;
  abi::StepTimer<Program> timer_;  // stays off: kernels_bench takes the times itself
};

}  // namespace ropewalk::cuda::bench
