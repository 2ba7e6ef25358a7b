// combine.cpp — `ropewalk adapter combine DIR[:SCALE]... --out DIR`: one adapter of several.
#include "core/adapter/combine.h"

#include <fmt/format.h>

#include "apps/adapter/adapter_commands.h"
#include "apps/adapter/adapter_input.h"
#include "apps/output.h"
#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {

int adapter_combine(const AdapterCombineArguments& arguments) {
  const OpenAdapters open = open_adapters(arguments.adapters);
  OutputFolder folder(arguments.out, Existing::refuse);
  combine_adapters(open.scaled, folder);
  folder.commit();
  const Adapter made(arguments.out);
  if (arguments.common.json) {
    print_json({{"out", arguments.out},
                {"modules", made.low_ranks().size()},
                {"rank", made.config().rank}});
  } else {
    print(fmt::format("{}: {} modules, rank {}\n", arguments.out, made.low_ranks().size(),
                      made.config().rank));
  }
  return 0;
}

}  // namespace ropewalk
