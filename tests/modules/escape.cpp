#include "core/abi/options.h"

ropewalk::abi::Status escape(const ropewalk::abi::CreateInfo&, void**) { throw 7; }
