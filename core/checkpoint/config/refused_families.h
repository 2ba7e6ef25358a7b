// refused_families.h — families of models that people have and Ropewalk does not run, and why.
//
// Pure functions.
#pragma once

#include <string_view>

namespace ropewalk {

// What a model of this model_type computes that no op of ours does: "chooses among experts for each
// token". Empty: not known.
std::string_view why_refused(std::string_view model_type);

}  // namespace ropewalk
