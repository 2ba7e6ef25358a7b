// kv_type.h — the element type of the key-value cache that a configuration asks for.
#pragma once

#include "core/engine/devices.h"

namespace ropewalk {

// Throws Error (usage) where the device has no cache of this type.
abi::DType kv_type_of(const Config& config, const OpenDevice& device);

}  // namespace ropewalk
