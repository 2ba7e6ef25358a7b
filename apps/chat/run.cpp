// run.cpp — `ropewalk run CONFIG`: one prompt in, one streamed reply out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/chat/question.h"
#include "apps/chat/statistics.h"
#include "apps/commands.h"
#include "apps/messages.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/generate/generate.h"
#include "core/generate/logits_hash.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

Request make_request(const Engine& engine, const Question& question) {
  const GenerationConfig& generation = engine.config().generation;
  Request request;
  request.sampling = engine.config().sampling;
  request.seed = generation.seed;
  request.max_new_tokens = generation.max_new_tokens;
  if (question.is_ids) {
    // Bare ids are a text to be continued: no format, so no stops but the configured ones.
    request.prompt_ids = question.ids;
    request.stops = generation.stop;
    request.leading_space = LeadingSpace::keep;
    return request;
  }
  const std::vector<ChatMessage> messages =
      with_system(engine.text(), engine.config(), {{abi::Role::user, question.text}});
  const std::vector<PromptPiece> pieces = render_messages(engine.text().format(), messages);
  request.prompt_ids = prompt_ids(engine.tokenizer(), pieces);
  request.stops = engine.text().stops(generation.stop);
  // A format that adds nothing after the user's text makes the model continue it.
  const bool continues = !pieces.empty() && pieces.back().kind == PieceKind::text &&
                         !question.text.empty() && pieces.back().text.ends_with(question.text);
  request.leading_space = continues ? LeadingSpace::keep : LeadingSpace::strip;
  return request;
}

Json reply_json(Engine& engine, const Request& request, const Reply& reply,
                const LogitsHash& hash) {
  Json json = {{"prompt_ids", request.prompt_ids}, {"ids", reply.ids}};
  if (engine.has_text()) json["text"] = reply.text;
  json["finish"] = finish_name(reply.finish);
  json["logits_hash"] = fmt::format("{:016x}", hash.value());
  json["stats"] = statistics_json(engine, reply.stats);
  return json;
}

// Notes why the reply was cut off, which its text does not show. That it has the tokens that were
// asked for is news on a terminal only.
void note_cut(const Engine& engine, uint32_t context_length, const Reply& reply, bool on_terminal) {
  if (reply.finish != Finish::length) return;
  const uint32_t asked = engine.config().generation.max_new_tokens;
  if (reply.stats.new_tokens < asked)
    note(fmt::format("the context of {} tokens is full: the reply ends after {}", context_length,
                     reply.stats.new_tokens));
  else if (on_terminal)
    note(fmt::format("generation.max_new_tokens, {}, cut the reply off; -n N changes it", asked));
}

}  // namespace

int run(const RunArguments& arguments) {
  const CommonArguments& common = arguments.common;
  const Config config = open_config(common);
  // Before the model is loaded, so that a wrong file is reported at once.
  const Question question = read_question(arguments);
  const std::unique_ptr<TraceFile> trace = open_trace(common);
  Engine engine =
      open_engine(common, config, question.is_ids ? TextNeed::optional : TextNeed::required);
  if (trace) {
    Runtime& runtime = engine.runtime();
    runtime.trace_to(*trace, measure_ceiling(*runtime.device().device));
  }
  const Request request = make_request(engine, question);

  const StopRequest stop;
  Progress progress("reading the prompt", progress_for(common));
  GenerateEvents events;
  events.cancel = &stop.flag();
  events.on_prefill = [&](uint32_t done, uint32_t total) { progress.show_steps(done, total); };
  LogitsHash hash;
  if (common.json)
    events.on_logits = [&](std::span<const float> logits) { hash.add(logits); };
  else
    events.on_text = [&](std::string_view text) {
      progress.clear();
      print(text);
    };

  CachedText text(engine.runtime().cache(), engine.runtime().rope_tables());
  const Reply reply = generate(engine, text, request, events);
  progress.clear();
  if (common.json)
    print_json(reply_json(engine, request, reply, hash));
  else
    print(engine.has_text() ? "\n" : fmt::format("{}\n", fmt::join(reply.ids, " ")));
  const bool on_terminal = stderr_is_terminal() && !common.quiet && !common.json;
  note_cut(engine, engine.runtime().context_length(), reply, on_terminal);
  if (common.verbose || on_terminal) note(statistics_line(engine, reply.stats));
  return stop.signal() == 0 ? 0 : 128 + stop.signal();
}

}  // namespace ropewalk
