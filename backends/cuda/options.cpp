#include "backends/cuda/options.h"

namespace ropewalk::cuda {

Options::Options(const abi::Options& given)
    : recording(given.boolean("capture") ? Recording::graph : Recording::eager),
      step_limit_ms(static_cast<uint64_t>(given.integer("step-limit-ms"))) {}

const abi::OptionInfo kOptions[2] = {
    {"capture", abi::OptionType::boolean, "true",
     "record each program as a CUDA graph; false launches its kernels one by one, for debugging"},
    {"step-limit-ms", abi::OptionType::integer, "30000",
     "milliseconds after which a step that has not ended counts as hung", 1, 3600000},
};

}  // namespace ropewalk::cuda
