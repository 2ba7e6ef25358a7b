// source_digest.h — what identifies the weights that a quantised model was made of, and for.
#pragma once

#include <functional>
#include <string>

#include "core/adapter/adapter.h"
#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

// SHA-256 of what `sha256sum FILE...` prints for the weights' files in the order of their names, so
// that anybody can find it without this program: `cd BASE; sha256sum *.safetensors | sha256sum`.
// Calls tick() often, which may throw. Throws Error (model) where a file cannot be read.
std::string source_digest(const Checkpoint& base, const std::function<void()>& tick);

// The same of an adapter's two files.
std::string adapter_digest(const Adapter& adapter, const std::function<void()>& tick);

}  // namespace ropewalk
