// self_calibration.h — windows of text that the model writes itself, for `--calibration self`.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "apps/commands.h"
#include "core/config/config.h"
#include "core/quantize/calibration.h"

namespace ropewalk {

// Windows of these kinds. Each begins with BOS, or with an end id where the model has no BOS, and
// is sampled at temperature 1 from the ids that the tokenizer knows. Window i depends on the seed
// and i only. `progress` is called after every step and may throw to stop. Throws what loading the
// model throws.
quantize::Calibration sample_windows(
    const CommonArguments& common, const Config& config,
    const std::vector<quantize::WindowKind>& kinds, uint64_t seed,
    const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace ropewalk
