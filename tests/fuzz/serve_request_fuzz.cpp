// serve_request_fuzz.cpp — any bytes as the body of a request to the server: it is refused with a
// status and a code, or what was read is within its limits and its answer is JSON.
//
// The first byte says which endpoint, or that the bytes are a file of keys.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/utf8.h"
#include "core/serve/answer/json_text.h"
#include "core/serve/answer/stream_answer.h"
#include "core/serve/answer/whole_answer.h"
#include "core/serve/explain.h"
#include "core/serve/guard/keys.h"
#include "core/serve/request/ask.h"
#include "core/serve/request/chain_edit.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::serve;

void require(bool holds) {
  if (!holds) std::abort();
}

struct World {
  World()
      : config(parse_config("model: \"" RW_SOURCE_DIR "/models/airophin-mini\"\n"
                            "sampling: [{temperature: 0.7}, {ban-tokens: {ids: [3]}}]\n",
                            {.file = "fuzz.yaml"})),
        registry({.install_folder = RW_MODULE_DIR, .paths = {}}),
        text(registry, config),
        model{.config = config,
              .text = text,
              .context_length = 256,
              .vocab = text.tokenizer().vocab_size(),
              .name = "m",
              .fingerprint = "f",
              .batch_invariant = true,
              .created = 1,
              .samplers = {"temperature", "top-p"}} {}

  Config config;
  Registry registry;
  TextSide text;
  ServedModel model;
};

void check(const Ask& ask, const World& world) {
  require(!ask.prompts.empty() && ask.replies() <= 128 && ask.best_of >= ask.n);
  for (const Prompt& prompt : ask.prompts) {
    require(!prompt.ids.empty());
    require(prompt.ids.size() + prompt.max_new_tokens <= world.model.context_length);
    for (const int32_t id : prompt.ids)
      require(id >= 0 && static_cast<uint32_t>(id) < world.model.vocab);
  }
  for (const std::string& stop : ask.request.stops)
    require(!stop.empty() && utf8_first_error(stop) == std::string_view::npos);
  require(ask.request.sampling.size() <= 64 + known_links().size());
  require(!json_text(explain(ask, world.model, {})).empty());

  const AnswerFacts facts{"id", 1, "f", world.text.tokenizer()};
  WholeAnswer whole(ask, facts);
  StreamAnswer stream(ask, facts);
  std::string bytes = stream.begin();
  Update end;
  end.text = "x";
  end.end = Ending{};
  for (uint32_t reply = 0; reply < ask.replies(); ++reply) {
    whole.take(reply, end);
    bytes += stream.take(reply, end);
  }
  bytes += stream.end();
  require(whole.json()["choices"].size() == ask.prompts.size() * ask.n);
  require(bytes.ends_with("data: [DONE]\n\n"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  if (size == 0 || size > 4096) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] & 4) {
    try {
      for (const Key& key : parse_keys(body, "keys"))
        require(!key.name.empty() && key.name.size() <= 64 && key.digest.size() == 64);
    } catch (const Error& error) {
      require(error.code() == ExitCode::usage);
    }
    return 0;
  }
  const Strictness strictness = data[0] & 2 ? Strictness::strict : Strictness::tolerant;
  Json json;
  try {
    json = parse_json(body, {"the body", ExitCode::usage, ""});
  } catch (const Error&) {
    return 0;
  }
  try {
    check(data[0] & 1 ? read_chat(json, world.model, strictness)
                      : read_completion(json, world.model, strictness),
          world);
  } catch (const ApiError& error) {
    require(error.status() == 400 || error.status() == 404);
    require(!error.code().empty() && std::string_view(error.what()).size() < 4000);
    require(Json::parse(json_text(error.json()))["error"]["code"] == error.code());
  }
  return 0;
}
