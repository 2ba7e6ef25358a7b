#include "core/abi/instruction_sets.h"
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

const Kernels* kernels_for(const char* name) {
  const Kernels* const widest_first[] = {
#if defined(__x86_64__)
    &avx512::kKernels,
    &avx2::kKernels,
#endif
    &baseline::kKernels,
  };
  return abi::choose_kernels<Kernels>(widest_first, name);
}

const Kernels& kernels() { return *kernels_for("auto"); }

}  // namespace ropewalk::quantize
