// measure.h — what the device can do at best: the ceilings that benchmarks compare with.
#pragma once

#include "backends/vulkan/device/memory.h"
#include "backends/vulkan/program/pipelines.h"
#include "core/abi/backend.h"

namespace ropewalk::vulkan {

// The best of a few runs. Throws Failure, unsupported for what it does not measure.
double measure(abi::Measurement what, Context& context, Memory& memory, Pipelines& pipelines);

}  // namespace ropewalk::vulkan
