#include "backends/cuda/program/trace.h"

#include <nvtx3/nvToolsExt.h>

namespace ropewalk::cuda {

TraceRange::TraceRange(const std::string& name) { nvtxRangePushA(name.c_str()); }
TraceRange::~TraceRange() { nvtxRangePop(); }

}  // namespace ropewalk::cuda
