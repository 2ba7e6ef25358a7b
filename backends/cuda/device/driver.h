// driver.h — whether the driver's library is there. Stateless.
#pragma once

#include <string>

namespace ropewalk::cuda {

// Why it cannot be loaded; empty where it can. cudart calls a missing driver "insufficient" too.
std::string missing_driver();

}  // namespace ropewalk::cuda
