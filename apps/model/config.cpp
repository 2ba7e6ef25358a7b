// config.cpp — `ropewalk config CONFIG --dump`.
#include "core/config/config.h"

#include "apps/commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "core/engine/resolved_config.h"

namespace ropewalk {

int config(const ConfigArguments& arguments) {
  print(dump_config(resolved_config(open_config(arguments.common))));
  return 0;
}

}  // namespace ropewalk
