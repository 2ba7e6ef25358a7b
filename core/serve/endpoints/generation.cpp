#include <sys/random.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "core/json/json.h"
#include "core/serve/endpoints/endpoints.h"
#include "core/serve/request/chat_prompt.h"
#include "core/serve/request/fields.h"
#include "core/serve/request/messages.h"
#include "core/serve/request/token_fields.h"
#include "core/serve/run/answering.h"
#include "core/serve/run/responses.h"
#include "core/serve/run/scoring.h"
#include "core/text/prompt.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMaxTexts = 64;

Strictness strictness(const http::Request& request) {
  const std::string* header = request.header("x-ropewalk-strict");
  return header && *header == "1" ? Strictness::strict : Strictness::tolerant;
}

std::string random_hex() {
  unsigned char bytes[12] = {};
  while (getrandom(bytes, sizeof bytes, 0) < 0 && errno == EINTR) {
  }
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

uint64_t prompt_tokens(const Ask& ask) {
  uint64_t tokens = 0;
  for (const Prompt& prompt : ask.prompts) tokens += prompt.ids.size() * ask.best_of;
  return tokens;
}

void answer(Service& service, const http::Request& request,
            const std::shared_ptr<http::Reply>& reply, Ask ask) {
  LoadedModel& loaded = service.loaded();
  const char* prefix = ask.endpoint == Endpoint::chat ? "chatcmpl-" : "cmpl-";
  AnsweringSettings settings{
      .terms = service.terms(request, ask.cache_salt, ask.deadline),
      .facts = {.id = prefix + random_hex(),
                .created = std::time(nullptr),
                .fingerprint = loaded.model.fingerprint,
                .tokenizer = loaded.model.text.tokenizer()},
      .request_id = request.id,
      .keep_alive = std::chrono::seconds(service.config().serve.keep_alive_seconds),
      .done = [&service, id = request.id](
                  Summary summary) { service.journal().note(id, std::move(summary)); },
      .share = service.share(request, ask.replies(), prompt_tokens(ask))};
  service.journal().note_ignored(request.id, ask.told.ignored, Clock::now());
  service.journal().count_choices(ask.n);
  auto tickets = submit_all(loaded.scheduler, ask, settings.terms);
  if (settings.share) settings.share->admitted();
  service.writer().add([&](const Bell& bell) {
    return std::make_unique<Answering>(reply, std::move(ask), std::move(settings),
                                       std::move(tickets), bell);
  });
}

}  // namespace

void completions(Service& service, const http::Request& request,
                 const std::shared_ptr<http::Reply>& reply) {
  const ServedModel& model = service.loaded().model;
  const Json body = parse_body(request);
  service.prompt_log().write(request.id, request.path, body);
  answer(service, request, reply, read_completion(body, model, strictness(request)));
}

void chat_completions(Service& service, const http::Request& request,
                      const std::shared_ptr<http::Reply>& reply) {
  const ServedModel& model = service.loaded().model;
  const Json body = parse_body(request);
  service.prompt_log().write(request.id, request.path, body);
  answer(service, request, reply, read_chat(body, model, strictness(request)));
}

http::Response explain_request(Service& service, const http::Request& request) {
  const LoadedModel& loaded = service.loaded();
  const Json body = parse_body(request);
  const bool chat = body.is_object() && body.contains("messages");
  const Ask ask = chat ? read_chat(body, loaded.model, strictness(request))
                       : read_completion(body, loaded.model, strictness(request));
  return json_response(explain(ask, loaded.model, loaded.manual));
}

http::Response render(Service& service, const http::Request& request) {
  const ServedModel& model = service.loaded().model;
  const Json body = parse_body(request);
  Fields fields(body, "");
  const auto [name, list] = fields.find({"messages"});
  if (!list)
    throw ApiError(400, "missing_parameter", "messages: is missing, expected a list of messages.",
                   "messages");
  Told told;
  const ChatPrompt prompt =
      chat_prompt(model, read_messages(*list, model.config.serve.turns, told), {});
  return json_response({{"text", prompt_text(model.text.tokenizer(), prompt.pieces)},
                        {"ids", prompt.ids},
                        {"stop", model.text.stops(model.config.generation.stop)},
                        {"warnings", told.warnings}});
}

void score_texts(Service& service, const http::Request& request,
                 const std::shared_ptr<http::Reply>& reply) {
  LoadedModel& loaded = service.loaded();
  const ServedModel& model = loaded.model;
  const Json body = parse_body(request);
  Fields fields(body, "");
  const auto [name, lists] = fields.find({"ids"});
  const auto [text_name, text] = fields.find({"text"});
  std::vector<std::vector<int32_t>> texts;
  if (text) {
    for (const std::string& one : read_texts(text_name, *text, kMaxTexts, size_t{16} << 20))
      texts.push_back(raw_prompt_ids(model.text.tokenizer(), one, SpecialTokens::as_text));
  } else if (lists && lists->is_array()) {
    for (const Json& list : *lists) {
      if (!list.is_array() || list.empty()) refuse_type(name, list, "a list of token ids");
      texts.emplace_back();
      for (const Json& id : list) texts.back().push_back(read_id(name, id, model.vocab));
    }
  }
  if (texts.empty() || texts.size() > kMaxTexts)
    throw ApiError(400, "missing_parameter", "ids: expected 1 to 64 lists of token ids, or text.",
                   "ids");
  uint64_t tokens = 0;
  for (const std::vector<int32_t>& ids : texts) tokens += ids.size();
  auto share = service.share(request, static_cast<uint32_t>(texts.size()), tokens);
  const Terms terms = service.terms(request, "", std::nullopt);
  service.writer().add([&](const Bell& bell) {
    auto scoring = std::make_unique<Scoring>(reply, loaded.scheduler, texts, terms, bell);
    scoring->keep(std::move(share));
    return scoring;
  });
}

}  // namespace ropewalk::serve
