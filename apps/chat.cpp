// chat.cpp — `ropewalk chat CONFIG`: a conversation, a line at a time.
//
// Each turn renders the whole conversation again; the session's cache makes it cost only what is
// new.
#include <fmt/format.h>

#include <signal.h>

#include <algorithm>

#include "apps/commands.h"
#include "apps/input.h"
#include "apps/messages.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/save_file.h"
#include "apps/signals.h"
#include "apps/statistics.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/generate/generate.h"
#include "core/text/fit.h"

namespace ropewalk {
namespace {

constexpr std::string_view kHelp =
    "/save FILE  keep the conversation\n"
    "/load FILE  go on with one that was kept\n"
    "/reset      begin anew\n"
    "/quit       leave (so does Ctrl-D)\n"
    "Ctrl-C stops a reply. Begin a line with // to say something that begins with /.\n";

// Which of an exit's two ways a turn took.
enum class Turn { go_on, leave };

class Conversation {
 public:
  Conversation(Engine& engine, const CommonArguments& common)
      : engine_(engine), common_(common), session_(engine) {}

  // Returns the signal that ended the conversation; 0: none.
  int hold();

 private:
  Turn command(const std::string& line);
  int say(const std::string& text);
  Generation reply(const StopRequest& stop);
  FittedPrompt fit() const;
  void save(const std::string& file) const;
  void load(const std::string& file);

  Engine& engine_;
  const CommonArguments& common_;
  Session session_;
  std::vector<ChatMessage> messages_;  // without the configured system message
  bool told_of_dropping_ = false;
};

// A reply of this many tokens must have room; a longer one may, where the prompt is short.
uint32_t reply_room(Engine& engine) {
  return std::min(engine.config().generation.max_new_tokens,
                  std::max(engine.runtime().context_length() / 2, 1u));
}

FittedPrompt Conversation::fit() const {
  const bool refuse = engine_.config().prompt.truncate == Truncate::refuse;
  const uint32_t context_length = engine_.runtime().context_length();
  return fit_messages(engine_.tokenizer(), engine_.text().format(),
                      with_system(engine_.text(), engine_.config(), messages_),
                      {.max_prompt_tokens = context_length - reply_room(engine_),
                       .mode = refuse ? FitMode::refuse : FitMode::drop_oldest});
}

Generation Conversation::reply(const StopRequest& stop) {
  const FittedPrompt prompt = fit();
  if (prompt.dropped_messages > 0 && !told_of_dropping_) {
    note(
        fmt::format("the conversation outgrew the context: the model no longer sees its oldest {} "
                    "messages",
                    prompt.dropped_messages));
    told_of_dropping_ = true;
  }
  GenerateRequest request;
  request.prompt_ids = prompt.ids;
  request.max_new_tokens = engine_.config().generation.max_new_tokens;
  // Each turn draws anew, and the same conversation always the same.
  request.seed = engine_.config().generation.seed + messages_.size() / 2;
  request.stops = engine_.text().stops();
  request.cancel = &stop.flag();
  request.on_text = [](std::string_view text) { print(text); };
  return generate(engine_, session_, request);
}

// Returns the signal that ends the conversation; 0: it goes on, also after a reply that Ctrl-C cut
// short: what was said of it stays part of the conversation.
int Conversation::say(const std::string& text) {
  messages_.push_back({abi::Role::user, text});
  try {
    const StopRequest stop;
    const Generation answer = reply(stop);
    print("\n");
    if (answer.text.empty()) {
      messages_.pop_back();
      note("no word was said: the question is forgotten");
    } else {
      messages_.push_back({abi::Role::assistant, answer.text});
    }
    if (common_.verbose) note(statistics_line(engine_, answer.stats));
    return stop.signal() == SIGTERM ? SIGTERM : 0;
  } catch (const Error& error) {
    if (error.code() != ExitCode::limit) throw;
    messages_.pop_back();
    warn(error.what());
    return 0;
  }
}

void Conversation::save(const std::string& file) const {
  save_file(file, conversation_text(messages_));
  note(fmt::format("{} messages are in {}", messages_.size(), file));
}

void Conversation::load(const std::string& file) {
  std::vector<ChatMessage> loaded = parse_conversation(read_input(file), file);
  // A conversation that the format cannot take is refused here and not at the next question.
  render_messages(engine_.text().format(), with_system(engine_.text(), engine_.config(), loaded));
  messages_ = std::move(loaded);
  told_of_dropping_ = false;
  note(fmt::format("{} messages from {}", messages_.size(), file));
}

Turn Conversation::command(const std::string& line) {
  const size_t space = std::min(line.find(' '), line.size());
  const std::string name = line.substr(0, space);
  const std::string file = line.substr(std::min(line.find_first_not_of(' ', space), line.size()));
  if (name == "/quit") return Turn::leave;
  try {
    if (name == "/help") {
      fmt::print(stderr, "{}", kHelp);
    } else if (name == "/reset") {
      messages_.clear();
      told_of_dropping_ = false;
    } else if (name == "/save" && !file.empty()) {
      save(file);
    } else if (name == "/load" && !file.empty()) {
      load(file);
    } else {
      warn(fmt::format("{} is no command, or its file is missing; /help lists them",
                       printable(name)));
    }
  } catch (const Error& error) {
    warn(error.what());  // a wrong file is no reason to lose the conversation
  }
  return Turn::go_on;
}

int Conversation::hold() {
  LineReader lines;
  std::string line;
  const bool prompts = stdin_is_terminal() && stderr_is_terminal() && !common_.quiet;
  while (true) {
    if (prompts) fmt::print(stderr, "> ");
    if (!lines.next(line)) return 0;
    if (utf8_first_error(line) != std::string_view::npos) {
      warn("that line is not UTF-8 and was not sent");
    } else if (line.starts_with('/') && !line.starts_with("//")) {
      if (command(line) == Turn::leave) return 0;
    } else if (!line.empty()) {
      if (const int signal = say(line.starts_with("//") ? line.substr(1) : line))
        return 128 + signal;
    }
  }
}

}  // namespace

int chat(const ChatArguments& arguments) {
  Engine engine = open_engine(arguments.common, open_config(arguments.common));
  return Conversation(engine, arguments.common).hold();
}

}  // namespace ropewalk
