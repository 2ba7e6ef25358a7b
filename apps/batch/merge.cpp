// merge.cpp — `ropewalk merge --input F --output F PART...`: the shards of a batch as one file.
#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "apps/commands.h"
#include "apps/output.h"
#include "core/batch/merge.h"
#include "core/json/json.h"

namespace ropewalk {

int merge_batch(const MergeArguments& arguments) {
  const std::vector<std::filesystem::path> parts(arguments.parts.begin(), arguments.parts.end());
  const batch::Merged merged = batch::merge(arguments.input, parts, arguments.output);
  if (arguments.common.json)
    print_json({{"lines", merged.lines},
                {"answered", merged.lines - merged.failed},
                {"failed", merged.failed}});
  else
    print(fmt::format("{} lines: {} answered, {} failed\n", merged.lines,
                      merged.lines - merged.failed, merged.failed));
  return merged.failed > 0 ? 1 : 0;
}

}  // namespace ropewalk
