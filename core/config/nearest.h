// nearest.h — the "did you mean" of every error about an unknown name.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ropewalk {

// The candidate with the fewest edits from `name`, within a third of its length (at least 2); else
// one that begins with it; else nothing. Source: Damerau's distance with adjacent transpositions
// (optimal string alignment).
std::string nearest(std::string_view name, std::span<const std::string> candidates);

// "Did you mean temperature" or "Known are a, b, c": advice for an Error.
std::string suggestion(std::string_view name, std::span<const std::string> candidates);

}  // namespace ropewalk
