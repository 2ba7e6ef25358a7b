#include <cstring>

#include "backends/cpu/kernels.h"

namespace ropewalk::cpu {

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

struct Choice {
  const Kernels* kernels;
  bool present;
};

}  // namespace

const Kernels* select_kernels(const char* wanted) {
  const Choice widest_first[] = {
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
  for (const Choice& choice : widest_first)
    if (choice.present &&
        (!std::strcmp(wanted, "auto") || !std::strcmp(wanted, choice.kernels->name)))
      return choice.kernels;
  return nullptr;
}

}  // namespace ropewalk::cpu
