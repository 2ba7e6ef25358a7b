// machine.h — what the operating system says about this machine.
#pragma once

#include <cstdint>
#include <string>

namespace ropewalk::cpu {

std::string processor_name();  // "AMD EPYC 9354"; the architecture if the system gives no name
uint32_t usable_cores();       // in the affinity mask and the control group's quota; at least 1
uint64_t memory_total();       // bytes
uint64_t memory_free();        // bytes that can be allocated without swapping
uint64_t last_level_cache();   // bytes; 0 where unknown

}  // namespace ropewalk::cpu
