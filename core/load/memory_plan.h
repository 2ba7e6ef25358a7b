// memory_plan.h — the memory that a model needs on its device, known before anything is allocated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ropewalk {

// Bytes by purpose; printed at load.
struct MemoryPlan {
  uint64_t weights = 0;    // packed weights and constants
  uint64_t cache = 0;      // key-value pages
  uint64_t scratch = 0;    // activations of the widest step
  uint64_t workspace = 0;  // beside the graph's tensors; enough for every shape of step
  uint64_t adapters = 0;   // of all slots

  uint64_t total() const { return weights + cache + scratch + workspace + adapters; }
};

// "weights 7.34 GiB, cache 6.25 GiB, scratch 120 MiB, workspace 0 B: 13.7 GiB of 23.1 GiB free";
// where there are adapters their slots stand before the sum.
std::string describe(const MemoryPlan& plan, uint64_t free_bytes);

// Throws Error (out_of_memory) where the plan is larger than the free memory; it names the device
// and what would help.
void check_fits(const MemoryPlan& plan, uint64_t free_bytes, std::string_view device);

}  // namespace ropewalk
