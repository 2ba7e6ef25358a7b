// combine.h — several adapters as one, exactly: their factors side by side.
//
//   c1 s1 B1 A1 + c2 s2 B2 A2  =  [c1 s1 B1 | c2 s2 B2] [A1 over A2]
//
// Ranks add up; the new adapter's own scale is 1.
#pragma once

#include <vector>

#include "core/adapter/merged_checkpoint.h"
#include "core/checkpoint/formats/output_folder.h"

namespace ropewalk {

// Writes adapter_model.safetensors (f32) and adapter_config.json; the folder is not committed.
// Throws Error: model where shapes differ, usage for a DoRA or a whole tensor that two bring or
// that is scaled, limit for a rank above 512.
void combine_adapters(const std::vector<ScaledAdapter>& adapters, OutputFolder& folder);

}  // namespace ropewalk
