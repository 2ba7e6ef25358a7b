// resolved_config.h — a configuration with what its model decides written into it, for people who
// want to see what a run would use (`ropewalk config --dump`).
#pragma once

#include "core/config/config.h"

namespace ropewalk {

// `config` with a value in its tree for every key that it leaves to the model's files: the length,
// the RoPE policy, the prompt format with its system message, and the tokenizer's file. Each value
// has the file that it comes from as its place, so that dump_config() shows that. The rest of
// `config` stays as it is.
//
// Where the model's folder is not there nothing is added; a file that cannot be read is told of in
// a note. No device is opened and no weight is read.
Config resolved_config(const Config& config);

}  // namespace ropewalk
