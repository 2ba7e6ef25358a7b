// tokenize.cpp — `ropewalk tokenize CONFIG --text F`: the text as text, no format, no BOS unless
// asked.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/commands.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/output.h"
#include "core/engine/engine.h"
#include "core/json/json.h"

namespace ropewalk {

int tokenize(const TokenizeArguments& arguments) {
  const Config config = open_config(arguments.common);
  const Tokenizer tokenizer = open_tokenizer(config);
  std::vector<int32_t> ids =
      tokenizer.encode_text(read_input(arguments.text), SpecialTokens::as_text);
  if (arguments.bos && tokenizer.bos()) ids.insert(ids.begin(), tokenizer.bos_id());
  if (arguments.common.json) {
    print_json({{"ids", ids}});
  } else {
    print(fmt::format("{}\n", fmt::join(ids, " ")));
  }
  return 0;
}

}  // namespace ropewalk
