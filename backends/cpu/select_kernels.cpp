#include <cstring>

#include "backends/cpu/kernels.h"

namespace ropewalk::cpu {

namespace baseline {
extern const Kernels kKernels;
extern const IntegerKernels kIntegers;
}  // namespace baseline
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
namespace avx512_vnni {
extern const IntegerKernels kIntegers;
}
#endif

namespace {

struct Choice {
  const Kernels* kernels;
  bool present;
};

Kernels with(const IntegerKernels& integers, Kernels kernels, const char* name) {
  kernels.name = name;
  kernels.integers = &integers;
  return kernels;
}

}  // namespace

const Kernels* select_kernels(const char* wanted) {
#if defined(__x86_64__)
  static const Kernels avx512_vnni = with(avx512_vnni::kIntegers, avx512::kKernels, "avx512_vnni");
  // Every processor that has these features has the rest of x86-64-v4 or v3, which the compiler
  // may use too.
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512cd") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  static const Kernels baseline_vnni =
      with(baseline::kIntegers, baseline::kKernels, "baseline_vnni");
  const Choice widest_first[] = {
#if defined(__x86_64__)
    {&avx512_vnni, has_avx512 && __builtin_cpu_supports("avx512vnni")},
    {&avx512::kKernels, has_avx512},
    {&avx2::kKernels, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("bmi2")},
#endif
    {&baseline::kKernels, true},
    {&baseline_vnni, true},
  };
  for (const Choice& choice : widest_first)
    if (choice.present &&
        (!std::strcmp(wanted, "auto") || !std::strcmp(wanted, choice.kernels->name)))
      return choice.kernels;
  return nullptr;
}

}  // namespace ropewalk::cpu
