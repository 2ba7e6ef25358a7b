// event_stream_fuzz.cpp — any texts, tokens and ends as what replies say: the stream is well formed
// for a reader that shares no code with the writer, and holds what was said.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/serve/answer/stream_answer.h"
#include "core/text/stream.h"

namespace {

using namespace ropewalk;
using namespace ropewalk::serve;

void require(bool holds) {
  if (!holds) std::abort();
}

// The events of a stream by the rules of https://html.spec.whatwg.org, section 9.2: LF, one data
// line an event, comments skipped. The last must be [DONE].
std::vector<Json> read_events(std::string_view stream) {
  std::vector<Json> events;
  bool done = false;
  while (!stream.empty()) {
    const size_t end = stream.find("\n\n");
    require(end != std::string_view::npos && !done);
    const std::string_view event = stream.substr(0, end);
    stream.remove_prefix(end + 2);
    require(event.find_first_of("\n\r") == std::string_view::npos);
    if (event.starts_with(":")) continue;
    require(event.starts_with("data: "));
    done = event == "data: [DONE]";
    if (!done) events.push_back(Json::parse(event.substr(6)));
  }
  require(done);
  return events;
}

const Tokenizer& tokenizer() {
  static const Tokenizer kTokenizer = Tokenizer::open(RW_SOURCE_DIR "/models/airophin-mini", {});
  return kTokenizer;
}

// The scheduler gives whole characters alone.
std::string valid(std::string_view bytes) {
  Utf8Assembler characters;
  std::string text = characters.push(bytes);
  return text + characters.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > 4096) return 0;
  Ask ask{.endpoint = data[0] & 1 ? Endpoint::chat : Endpoint::completions, .model = "m"};
  ask.stream = true;
  ask.n = ask.best_of = 1 + (data[0] >> 1) % 3;
  ask.usage = static_cast<UsageInStream>(data[1] % 3);
  if (data[0] & 0x80) ask.logprobs = 1;
  ask.prompts.push_back({{1, 5}, 16});
  const AnswerFacts facts{"id", 1, "f", tokenizer()};
  StreamAnswer stream(ask, facts);
  std::vector<std::string> said(ask.n), heard(ask.n);
  std::vector<bool> over(ask.n);
  std::string bytes = stream.begin();
  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  while (rest.size() > 2) {
    const uint32_t reply = static_cast<uint8_t>(rest[0]) % ask.n;
    const size_t length = std::min<size_t>(static_cast<uint8_t>(rest[1]) % 32, rest.size() - 2);
    Update update;
    update.text = valid(rest.substr(2, length));
    const int32_t id = static_cast<int32_t>(static_cast<uint8_t>(rest[1]));
    update.tokens.push_back({{id, -0.5, {{id, -0.5}}}, 0});
    rest.remove_prefix(2 + length);
    if (over[reply]) continue;
    said[reply] += update.text;
    bytes += stream.take(reply, update) + StreamAnswer::keep_alive();
  }
  for (uint32_t reply = 0; reply < ask.n; ++reply) {
    Update update;
    update.end = Ending{.finish = Finish::stop};
    bytes += stream.take(reply, update);
  }
  bytes += stream.end();
  std::vector<int> finished(ask.n);
  for (const Json& event : read_events(bytes)) {
    if (event["choices"].empty()) continue;
    const Json& choice = event["choices"][0];
    const size_t index = choice["index"];
    require(!finished[index]);
    heard[index] += ask.endpoint == Endpoint::chat ? choice["delta"].value("content", "")
                                                   : choice["text"].get<std::string>();
    finished[index] += !choice["finish_reason"].is_null();
  }
  for (uint32_t reply = 0; reply < ask.n; ++reply)
    require(heard[reply] == said[reply] && finished[reply] == 1);
  return 0;
}
