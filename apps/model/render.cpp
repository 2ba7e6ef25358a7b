// render.cpp — `ropewalk render CONFIG --messages F`: the prompt that the model would read.
#include "apps/commands.h"
#include "apps/input.h"
#include "apps/messages.h"
#include "apps/open.h"
#include "apps/output.h"
#include "core/json/json.h"
#include "core/text/prompt.h"

namespace ropewalk {

int render(const RenderArguments& arguments) {
  const Config config = open_config(arguments.common);
  Registry registry = make_registry(config);
  const TextSide text(registry, config);
  const std::vector<ChatMessage> messages =
      with_system(text, config, parse_messages(read_input(arguments.messages), arguments.messages));
  const std::vector<PromptPiece> pieces = render_messages(text.format(), messages);
  const std::string prompt = prompt_text(text.tokenizer(), pieces);
  if (arguments.common.json) {
    print_json({{"text", prompt},
                {"ids", prompt_ids(text.tokenizer(), pieces)},
                {"stop", text.stops(config.generation.stop)}});
  } else {
    print(prompt + "\n");
  }
  return 0;
}

}  // namespace ropewalk
