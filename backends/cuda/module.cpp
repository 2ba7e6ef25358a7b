// module.cpp — the door of the CUDA backend: its name and its options.
#include "backends/cuda/backend.h"
#include "core/abi/plugin.h"

extern "C" const ropewalk::abi::Module ropewalk_module =
    ropewalk::abi::make_module<ropewalk::abi::Backend, ropewalk::cuda::Backend>(
        {.name = "cuda",
         .version = "0.1.0",
         .help = "NVIDIA GPUs of compute capability 7.5 and above.",
         .source = "core/graph/ops.md",
         .options = ropewalk::cuda::kOptions});
