// measure.h — what this machine can do at best: the ceilings that figures are compared with.
#pragma once

#include "backends/cpu/kernels.h"
#include "backends/cpu/pool.h"
#include "core/abi/backend.h"

namespace ropewalk::cpu {

// Takes a second or so. Throws bad_alloc where the buffers do not fit.
double measure(abi::Measurement what, Pool& pool, const Kernels& kernels);

}  // namespace ropewalk::cpu
