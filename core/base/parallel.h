// parallel.h — independent pieces of work on several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace ropewalk {

// Calls body(0) .. body(count - 1), each once, in any order, on up to `threads` threads, one of
// them the caller's. When a call throws no further ones begin, and the first exception is thrown
// here.
void parallel_for(size_t count, uint32_t threads, const std::function<void(size_t)>& body);

}  // namespace ropewalk
