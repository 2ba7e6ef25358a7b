// render.cpp — `ropewalk render CONFIG --messages F`: the prompt that the model would read.
#include <fmt/format.h>

#include "apps/commands.h"
#include "apps/input.h"
#include "apps/messages.h"
#include "apps/open.h"
#include "apps/output.h"
#include "core/json/json.h"
#include "core/text/prompt.h"

namespace ropewalk {
namespace {

constexpr std::string_view kOpen = "\u27e6", kClose = "\u27e7";  // white square brackets

// A bracket that opens stands twice in a text, so that a single one is a token's.
std::string text_with_doubled(std::string_view text) {
  std::string out;
  size_t at = 0;
  for (size_t found; (found = text.find(kOpen, at)) != std::string_view::npos;
       at = found + kOpen.size())
    out += fmt::format("{}{}{}", text.substr(at, found - at), kOpen, kOpen);
  return out += text.substr(at);
}

// For people: tokens in reverse on a terminal, else in brackets, so that they differ from a text
// that spells their names.
std::string marked(const std::vector<Segment>& segments) {
  const bool reverse = stdout_shows_colour();
  std::string out;
  for (const Segment& segment : segments) {
    if (segment.token)
      out += reverse ? fmt::format("\x1b[7m{}\x1b[27m", segment.text)
                     : fmt::format("{}{}{}", kOpen, segment.text, kClose);
    else
      out += reverse ? segment.text : text_with_doubled(segment.text);
  }
  return out;
}

// The id of a token, null for a text.
Json pieces_json(const std::vector<Segment>& segments) {
  Json list = Json::array();
  for (const Segment& segment : segments)
    list.push_back(
        {{"text", segment.text}, {"token", segment.token ? Json(segment.token->id) : Json()}});
  return list;
}

}  // namespace

int render(const RenderArguments& arguments) {
  const Config config = open_config(arguments.common);
  Registry registry = make_registry(config);
  const TextSide text(registry, config);
  tell_of_format(text.format_choice());
  const std::vector<ChatMessage> messages =
      with_system(text, config, parse_messages(read_text(arguments.messages), arguments.messages));
  const std::vector<PromptPiece> pieces = render_messages(text.format(), messages);
  const std::vector<Segment> segments = prompt_segments(text.tokenizer(), pieces);
  if (arguments.common.json) {
    print_json({{"text", prompt_text(text.tokenizer(), pieces)},
                {"pieces", pieces_json(segments)},
                {"ids", prompt_ids(text.tokenizer(), pieces)},
                {"stop", text.stops(config.generation.stop)}});
  } else {
    print(marked(segments) + "\n");
  }
  return 0;
}

}  // namespace ropewalk
