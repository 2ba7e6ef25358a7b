// nearest.h — the "did you mean" of every error about an unknown name.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ropewalk {

// The candidate that is `name` or begins with it, whatever the case and punctuation; else the one
// with the fewest edits, within a third of its length (at least 2); else nothing. Source: Damerau's
// distance with adjacent transpositions (optimal string alignment).
std::string nearest(std::string_view name, std::span<const std::string> candidates);

// "Did you mean temperature" or "Known are a, b, c": advice for an Error.
std::string suggestion(std::string_view name, std::span<const std::string> candidates);

}  // namespace ropewalk
