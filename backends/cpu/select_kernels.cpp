#include <string_view>

#include "backends/cpu/kernels.h"
#include "core/abi/instruction_sets.h"

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

Kernels with(const IntegerKernels& integers, Kernels kernels, const char* name) {
  kernels.name = name;
  kernels.integers = &integers;
  return kernels;
}

}  // namespace

const Kernels* select_kernels(const char* wanted) {
  static const Kernels baseline_vnni =
      with(baseline::kIntegers, baseline::kKernels, "baseline_vnni");
  if (wanted == std::string_view("baseline_vnni")) return &baseline_vnni;
#if defined(__x86_64__)
  static const Kernels avx512_vnni = with(avx512_vnni::kIntegers, avx512::kKernels, "avx512_vnni");
#endif
  const Kernels* const widest_first[] = {
#if defined(__x86_64__)
    &avx512_vnni,
    &avx512::kKernels,
    &avx2::kKernels,
#endif
    &baseline::kKernels,
  };
  return abi::choose_kernels<Kernels>(widest_first, wanted);
}

}  // namespace ropewalk::cpu
