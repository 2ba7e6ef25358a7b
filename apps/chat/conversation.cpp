#include "apps/chat/conversation.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "apps/chat/statistics.h"
#include "apps/input.h"
#include "apps/messages.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/save_file.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/foreign_names.h"
#include "core/engine/run_adapters.h"

namespace ropewalk {
namespace {

// The min room for a reply, in tokens; it has more where the prompt is short.
uint32_t reply_room(const Config& config, uint32_t context_length) {
  return std::min(config.generation.max_new_tokens, std::max(context_length / 2, 1u));
}

// Seeds are this far apart, so that a retry never gets the seed of a later message.
constexpr uint64_t kRetryStride = 0x9E3779B97F4A7C15;

// A file that is no saved conversation is somebody's work.
void check_replaceable(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error) ||
      std::filesystem::file_size(file, error) == 0)
    return;
  try {
    parse_conversation(read_saved(file), file);
  } catch (const Error&) {
    throw Error(ExitCode::usage, file, "exists and is not a saved conversation; it stays as it is",
                "Give another name");
  }
}

// Only these keys may change while a model is loaded.
void check_settable(const std::string& override) {
  const std::string key = override.substr(0, override.find_first_of(".="));
  if (key == "sampling" || key == "generation") return;
  const std::string meant = key_meant_by(override.substr(0, override.find('=')));
  const bool settable = meant.starts_with("sampling.") || meant.starts_with("generation.");
  throw Error(
      ExitCode::usage, fmt::format("/set {}", printable(override)),
      fmt::format("found the key {}, expected one of sampling or generation", printable(key)),
      settable ? fmt::format("Write /set {}=VALUE", meant)
               : "Other keys need a new start, with --set");
}

}  // namespace

Conversation::Conversation(Engine& engine, const CommonArguments& common)
    : engine_(engine),
      common_(common),
      text_(engine.runtime().cache(), engine.runtime().rope_tables()),
      config_(engine.config()),
      overrides_(common.overrides) {}

std::vector<ChatMessage> Conversation::all_messages() const {
  std::vector<ChatMessage> all = messages_;
  if (system_) all.insert(all.begin(), {abi::Role::system, *system_});
  return all;
}

FittedPrompt Conversation::fit() const {
  const bool refuse = config_.prompt.truncate == Truncate::refuse;
  const uint32_t context_length = engine_.runtime().context_length();
  return fit_messages(engine_.tokenizer(), engine_.text().format(),
                      with_system(engine_.text(), engine_.config(), all_messages()),
                      {.max_prompt_tokens = context_length - reply_room(config_, context_length),
                       .mode = refuse ? FitMode::refuse : FitMode::drop_oldest});
}

Reply Conversation::reply(const StopRequest& stop) {
  const FittedPrompt prompt = fit();
  if (prompt.dropped_messages > 0 && !told_of_dropping_) {
    note(
        fmt::format("the conversation outgrew the context: the model no longer sees its oldest {} "
                    "messages",
                    prompt.dropped_messages));
    told_of_dropping_ = true;
  }
  const GenerationConfig& generation = config_.generation;
  Request request;
  request.prompt_ids = prompt.ids;
  request.sampling = config_.sampling;
  request.adapter = find_adapter(config_, config_.adapter);
  // Each message has other random numbers; the same conversation always has the same.
  request.seed = generation.seed + messages_.size() / 2 + retries_ * kRetryStride;
  request.max_new_tokens = generation.max_new_tokens;
  request.stops = engine_.text().stops(generation.stop);
  GenerateEvents events;
  events.cancel = &stop.flag();
  events.on_text = [](std::string_view text) { print(text); };
  return generate(engine_, text_, request, events);
}

// Replies to the last message, which is the user's. Drops it where the reply is empty.
int Conversation::answer() {
  try {
    const StopRequest stop;
    const Reply answer = reply(stop);
    print("\n");
    saved_ = false;
    if (answer.text.empty()) {
      messages_.pop_back();
      note("the reply was empty: your message was dropped");
    } else {
      messages_.push_back({abi::Role::assistant, answer.text});
    }
    tell_of(answer);
    return stop.signal() == SIGINT ? 0 : stop.signal();
  } catch (const Error& error) {
    messages_.pop_back();
    if (error.code() != ExitCode::limit) throw;
    tell_wrong(error.what());
    return 0;
  }
}

// On a terminal a short line after each reply, and why it broke off.
void Conversation::tell_of(const Reply& answer) {
  if (common_.verbose) note(statistics_line(engine_, answer.stats));
  if (!stderr_is_terminal()) return;
  if (!common_.verbose) note(short_statistics_line(answer.stats));
  if (answer.finish == Finish::length &&
      answer.stats.new_tokens == config_.generation.max_new_tokens)
    note(
        fmt::format("generation.max_new_tokens, {}, cut the reply off; /set "
                    "generation.max_new_tokens=N changes it",
                    config_.generation.max_new_tokens));
}

int Conversation::say(const std::string& text) {
  messages_.push_back({abi::Role::user, text});
  retries_ = 0;
  return answer();
}

int Conversation::retry() {
  if (messages_.empty()) {
    tell_wrong("there is no reply yet");
    return 0;
  }
  const std::vector<ChatMessage> before = messages_;
  messages_.pop_back();
  ++retries_;
  try {
    const int signal = answer();
    if (messages_.size() < before.size()) messages_ = before;
    return signal;
  } catch (const Error&) {
    messages_ = before;
    throw;
  }
}

void Conversation::undo() {
  if (messages_.empty()) {
    tell_wrong("there is nothing to undo");
    return;
  }
  saved_ = false;
  const std::string forgotten = messages_[messages_.size() - 2].content;
  messages_.resize(messages_.size() - 2);
  retries_ = 0;
  tell(fmt::format("forgot \"{}\" and its reply", printable(forgotten, 60)));
}

void Conversation::reset() {
  messages_.clear();
  retries_ = 0;
  told_of_dropping_ = false;
}

std::string Conversation::system() const { return system_ ? *system_ : engine_.text().system(); }

void Conversation::set_system(std::string text) {
  system_ = std::move(text);
  saved_ = false;
}

void Conversation::set_adapter(const std::string& name) {
  if (config_.adapters.empty()) {
    tell_wrong("the configuration names no adapters");
    return;
  }
  std::string known(kNoAdapterName);
  for (const AdapterChoice& adapter : config_.adapters) known += ", " + adapter.name;
  if (name.empty()) {
    tell(fmt::format("the adapter: {}, of {}", config_.adapter, known));
    return;
  }
  if (!find_adapter(config_, name))
    throw Error(ExitCode::usage, fmt::format("/adapter {}", printable(name)),
                fmt::format("expected one of {}", known), "Others need a new start, with --set");
  if (name != config_.adapter && text_.cached() > 0)
    tell(fmt::format("{} replies from now on; it reads the conversation anew", name));
  config_.adapter = name;
}

void Conversation::set(const std::string& override) {
  check_settable(override);
  CommonArguments changed = common_;
  changed.overrides = overrides_;
  changed.overrides.push_back(override);
  const Config config = open_config(changed);
  engine_.make_chain(config.sampling, 0);  // throws for a wrong sampler before anything changes
  config_.sampling = config.sampling;
  config_.generation = config.generation;
  overrides_ = std::move(changed.overrides);
}

void Conversation::save(const std::string& file) {
  check_replaceable(file);
  const std::vector<ChatMessage> all = all_messages();
  save_file(file, conversation_text(all));
  saved_ = true;
  tell(fmt::format("{} messages are in {}", all.size(), file));
}

void Conversation::offer(const std::string& file) {
  if (saved_ || messages_.empty()) return;
  save(file);
}

void Conversation::load(const std::string& file) {
  std::vector<ChatMessage> loaded = parse_conversation(read_saved(file), file);
  // Refuses a conversation that the format cannot take now, not at the next question.
  render_messages(engine_.text().format(), with_system(engine_.text(), engine_.config(), loaded));
  const size_t count = loaded.size();
  const bool has_system = !loaded.empty() && loaded.front().role == abi::Role::system;
  system_.reset();
  if (has_system) system_ = loaded.front().content;
  messages_.assign(loaded.begin() + (has_system ? 1 : 0), loaded.end());
  retries_ = 0;
  told_of_dropping_ = false;
  saved_ = true;
  tell(fmt::format("{} messages from {}", count, file));
}

}  // namespace ropewalk
