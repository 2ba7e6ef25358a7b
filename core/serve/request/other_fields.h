// other_fields.h — fields of other servers that have no meaning here: which of them change what an
// answer is and must be refused, and at which values they change nothing.
#pragma once

#include <span>
#include <string>

#include "core/serve/request/fields.h"
#include "core/serve/request/told.h"

namespace ropewalk::serve {

// Throws ApiError 400 unsupported_parameter for the first that would change an answer, unless it is
// named in `tolerated`; tells those that only flavour it. At a neutral value all are silent.
void check_other_fields(Fields& fields, std::span<const std::string> tolerated, Told& told);

}  // namespace ropewalk::serve
