// sampling_locks.h — which sampling fields of a request the operator's locks hold for.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>

namespace ropewalk::serve {

// The fields of serve.sampling.lock, and those by which a request would change the same in another
// way: `do_sample: false` is a temperature of 0, mirostat takes the place of what truncates, and an
// order of samplers leaves out those that it does not name.
std::set<std::string, std::less<>> locked_fields(std::span<const std::string> named);

}  // namespace ropewalk::serve
