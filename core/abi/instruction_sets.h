// instruction_sets.h — which of the loops that were compiled for several instruction sets this
// processor runs. rw_add_kernels() in cmake/Kernels.cmake compiles them.
#pragma once

#include <span>
#include <string_view>

namespace ropewalk::abi {

// Whether this processor has all that the compiler may use for the set of this name.
inline bool has_instruction_set(std::string_view name) {
#if defined(__x86_64__)
  // Every processor with these features has the rest of x86-64-v3 or v4.
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (name == "avx2") return v3;
  if (name == "avx512") return v4;
  if (name == "avx512_vnni") return v4 && __builtin_cpu_supports("avx512vnni");
#endif
  return name == "baseline";
}

// The kernels whose `name` is `wanted`, or the first that run here if it is "auto"; nullptr where
// there are none or this processor lacks their instruction set.
template <class Kernels>
const Kernels* choose_kernels(std::span<const Kernels* const> widest_first,
                              std::string_view wanted) {
  for (const Kernels* kernels : widest_first)
    if ((wanted == "auto" || wanted == kernels->name) && has_instruction_set(kernels->name))
      return kernels;
  return nullptr;
}

}  // namespace ropewalk::abi
