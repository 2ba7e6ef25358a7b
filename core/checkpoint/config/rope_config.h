// rope_config.h — the RoPE policy that a config.json names, in the words of our plugins.
#pragma once

#include <cstdint>

#include "core/checkpoint/config/model_config.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

// Reads rope_theta, rope_scaling (transformers 4), rope_parameters (transformers 5),
// rope_condense_ratio (longchat) and original_max_position_embeddings. Throws Error for a type that
// no policy of ours implements and for options of the wrong type or out of range.
// Source: huggingface/transformers, src/transformers/modeling_rope_utils.py.
// `rotary_dims`: how many dimensions of a head are rotated.
RopeConfig read_rope_config(const JsonFields& fields, uint32_t rotary_dims);

}  // namespace ropewalk
