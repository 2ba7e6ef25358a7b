// dataset.h — the texts that a model is measured on: their hash, and the JSON Lines form.
//
// Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest/sha256.h"

namespace ropewalk {

// The string `text` of each line's object, in the file's order: the first `limit` that are longer
// than 50 characters, as in exllama's perplexity.py. Empty lines are skipped. Throws Error(usage)
// with FILE:LINE for a line that is not such an object.
std::vector<std::string> jsonl_texts(std::string_view jsonl, const std::string& file, size_t limit);

}  // namespace ropewalk
