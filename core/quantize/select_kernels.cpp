#include <cstring>

#include "core/quantize/kernels.h"

namespace ropewalk::quantize {

namespace baseline {
extern const Kernels kKernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
#endif

namespace {

struct InstructionSet {
  const Kernels* kernels;
  bool present;
};

// The widest first.
const auto& instruction_sets() {
  static const InstructionSet sets[] = {
#if defined(__x86_64__)
    // Every processor that has these features has the rest of x86-64-v4 or v3, which the compiler
    // may use too.
    {&avx512::kKernels, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512cd") &&
                            __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vl")},
    {&avx2::kKernels, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi2")},
#endif
    {&baseline::kKernels, true},
  };
  return sets;
}

}  // namespace

const Kernels* kernels_for(const char* name) {
  for (const InstructionSet& set : instruction_sets())
    if (set.present && !std::strcmp(name, set.kernels->name)) return set.kernels;
  return nullptr;
}

const Kernels& kernels() {
  for (const InstructionSet& set : instruction_sets())
    if (set.present) return *set.kernels;
  __builtin_unreachable();
}

}  // namespace ropewalk::quantize
