// driver.h — whether the driver's library is there. Stateless.
#pragma once

#include <string>

namespace ropewalk::cuda {

// Why it cannot be loaded; empty: it can. cudart says "insufficient driver" for a missing one too.
std::string missing_driver();

}  // namespace ropewalk::cuda
