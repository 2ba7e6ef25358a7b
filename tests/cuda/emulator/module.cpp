// module.cpp — the door of the emulated backend.
#include "backends/cuda/backend.h"
#include "core/abi/plugin.h"

extern "C" const ropewalk::abi::Module ropewalk_module =
    ropewalk::abi::make_module<ropewalk::abi::Backend, ropewalk::cuda::Backend>(
        {.name = "emulated",
         .version = "0.1.0",
         .help = "The CUDA backend on a CPU, for its tests.",
         .source = "core/graph/ops.md",
         .options = ropewalk::cuda::kOptions});
