// chat.cpp — `ropewalk chat CONFIG`: a conversation, line by line.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "apps/chat/conversation.h"
#include "apps/chat/line_editor.h"
#include "apps/chat/user_files.h"
#include "apps/commands.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/config/nearest.h"

namespace ropewalk {
namespace {

struct Command {
  std::string_view name;
  std::string_view argument;  // for the help; empty: it takes none
  std::string_view help;
  int (*run)(Conversation& conversation, const std::string& argument);  // the signal that ends it
};

int system_message(Conversation& conversation, const std::string& text) {
  if (!text.empty()) conversation.set_system(text);
  const std::string system = conversation.system();
  tell(system.empty() ? "there is no system message"
                      : fmt::format("the system message: {}", system));
  return 0;
}

constexpr Command kCommands[] = {
    {"/system", "[TEXT]", "set the system message, or show it", system_message},
    {"/retry", "", "another reply to the last message",
     [](Conversation& c, const std::string&) { return c.retry(); }},
    {"/undo", "", "forget the last message and its reply",
     [](Conversation& c, const std::string&) { return c.undo(), 0; }},
    {"/reset", "", "start again", [](Conversation& c, const std::string&) { return c.reset(), 0; }},
    {"/read", "FILE", "send the text of a file",
     [](Conversation& c, const std::string& file) { return c.say(read_text(file)); }},
    {"/set", "KEY=VALUE", "as sampling.temperature=0.7 or generation.seed=1",
     [](Conversation& c, const std::string& text) { return c.set(text), 0; }},
    {"/adapter", "[NAME]", "let another adapter reply, or show which does",
     [](Conversation& c, const std::string& name) { return c.set_adapter(name), 0; }},
    {"/save", "FILE", "keep the conversation",
     [](Conversation& c, const std::string& file) { return c.save(file), 0; }},
    {"/load", "FILE", "go on with one that was kept",
     [](Conversation& c, const std::string& file) { return c.load(file), 0; }},
};

constexpr std::string_view kQuit[] = {"/quit", "/exit", "/bye"};
constexpr std::string_view kHelp[] = {"/help", "/?"};
constexpr std::string_view kBlock = "\"\"\"";

template <size_t Count>
bool is_one_of(const std::string_view (&names)[Count], std::string_view name) {
  return std::ranges::find(names, name) != std::end(names);
}

void print_help() {
  for (const Command& command : kCommands)
    fmt::print(stderr, "{:<19}{}\n", fmt::format("{} {}", command.name, command.argument),
               command.help);
  fmt::print(
      stderr,
      "{:<19}leave (so do /exit, /bye and Ctrl-D)\n"
      "Ctrl-C stops a reply, or clears the line. \"\"\" begins a message of several lines and "
      "ends it.\nBegin a line with // to say something that begins with /.\n",
      "/quit");
}

std::vector<std::string> chat_command_names() {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  for (const std::string_view name : {kQuit[0], kQuit[1], kQuit[2], kHelp[0]})
    names.emplace_back(name);
  return names;
}

// Files and folders that may follow what is begun of a path.
std::vector<std::string> paths_from(const std::string& before, const std::string& begun) {
  const std::filesystem::path path(begun);
  const std::filesystem::path folder = path.parent_path();
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder.empty() ? "." : folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(path.filename().string())) continue;
    found.push_back(before + (folder / name).string() + (entry.is_directory(error) ? "/" : ""));
  }
  std::ranges::sort(found);
  return found;
}

std::vector<std::string> completions(std::string_view begun) {
  if (!begun.starts_with('/') || begun.starts_with("//")) return {};
  for (const std::string_view command : {"/save ", "/load ", "/read "})
    if (begun.starts_with(command))
      return paths_from(std::string(command), std::string(begun.substr(command.size())));
  std::vector<std::string> found;
  for (const std::string& name : chat_command_names())
    if (name.starts_with(begun)) found.push_back(name);
  return found;
}

bool takes(const Command& command, const std::string& argument) {
  if (command.argument.starts_with('[')) return true;
  return command.argument.empty() == argument.empty();
}

std::string command_name(const std::string& line) { return line.substr(0, line.find(' ')); }

// Returns the signal that ends the conversation; 0: it goes on.
int run_command(Conversation& conversation, const std::string& line) {
  const std::string name = command_name(line);
  std::string argument =
      line.substr(std::min(line.find_first_not_of(' ', name.size()), line.size()));
  argument.erase(argument.find_last_not_of(' ') + 1);
  if (is_one_of(kHelp, name)) return print_help(), 0;
  const auto command = std::ranges::find(kCommands, name, &Command::name);
  if (command == std::end(kCommands)) {
    const std::string meant = nearest(name, chat_command_names());
    tell_wrong(fmt::format("{} is no command{}; /help lists them", printable(name),
                           meant.empty() ? "" : fmt::format(", did you mean {}", meant)));
    return 0;
  }
  if (!takes(*command, argument)) {
    tell_wrong(command->argument.empty() ? fmt::format("{} takes nothing behind it", name)
                                         : fmt::format("write {} {}", name, command->argument));
    return 0;
  }
  try {
    return command->run(conversation, argument);
  } catch (const Error& error) {
    if (name == "/retry" || (name == "/read" && error.code() != ExitCode::usage)) throw;
    tell_wrong(error.what());  // a wrong file must not end the conversation
    return 0;
  }
}

using Input = LineEditor::Input;
using NextLine = std::function<Input(std::string&)>;

// A message between """ and """, whose first line is `line`. Where the input does not go on to its
// end: how it went on instead.
Input take_block(std::string& line, const NextLine& next_line) {
  std::string text = line.substr(kBlock.size());
  while (!text.ends_with(kBlock)) {
    std::string more;
    if (const Input input = next_line(more); input != Input::line) return input;
    text += (text.empty() ? "" : "\n") + more;
  }
  text.resize(text.size() - kBlock.size());
  if (text.ends_with('\n')) text.pop_back();
  line = text;
  return Input::line;
}

// Returns the signal that ends the conversation; 0: it goes on.
int take_line(Conversation& conversation, const std::string& line, bool block) {
  if (utf8_first_error(line) != std::string_view::npos) {
    tell_wrong("that line is not UTF-8 and was not sent");
    return 0;
  }
  if (line.empty()) return 0;
  // A command has one line; a pasted text of several is a message, whatever it begins with.
  if (block || !line.starts_with('/') || line.find('\n') != std::string::npos)
    return conversation.say(line);
  if (line.starts_with("//")) return conversation.say(line.substr(1));
  return run_command(conversation, line);
}

// How it ended: at the end of the input or by /quit, or stopped.
Input hold(Conversation& conversation, const NextLine& next_line, int& signal) {
  std::string line;
  while (true) {
    Input input = next_line(line);
    const bool quits = input == Input::line && is_one_of(kQuit, command_name(line));
    if (input == Input::end || quits) return input;
    const bool block = input == Input::line && line.starts_with(kBlock);
    if (block) input = take_block(line, next_line);
    if (input == Input::stopped) return input;
    if (input == Input::line) {
      signal = take_line(conversation, line, block);
      if (signal != 0) return Input::stopped;
    } else if (block) {
      tell_wrong("the message was not closed with \"\"\" and was not sent");
    }
  }
}

void print_banner(const Engine& engine, uint32_t context_length, const std::string& device) {
  const Config& config = engine.config();
  fmt::print(
      stderr, "{} on {}, prompt format {}, context {} tokens; /help lists the commands\n",
      printable(config.hub_name.empty() ? config.model.filename().string() : config.hub_name),
      device, engine.text().format_choice().plugin.name, context_length);
}

int hold_on_terminal(Conversation& conversation) {
  const std::filesystem::path folder = state_folder();
  LineEditor editor(folder.empty() ? folder : folder / "history", completions);
  const auto offer = [&] {
    if (!folder.empty()) conversation.offer((folder / "last-chat.json").string());
  };
  stop_at_hangup();
  int signal = 0;
  Input end = Input::end;
  try {
    end = hold(
        conversation, [&](std::string& line) { return editor.next(line); }, signal);
  } catch (const Error&) {
    offer();  // also where the device is lost, or the terminal
    throw;
  }
  if (end != Input::stopped) return 0;
  offer();
  return 128 + (signal != 0 ? signal : editor.signal());
}

}  // namespace

int chat(const ChatArguments& arguments) {
  Engine engine = open_engine(arguments.common, open_config(arguments.common), TextNeed::required);
  Conversation conversation(engine, arguments.common);
  if (stdin_is_terminal() && stderr_is_terminal()) {
    if (!arguments.common.quiet)
      print_banner(engine, engine.runtime().context_length(), engine.runtime().device().name());
    return hold_on_terminal(conversation);
  }
  LineReader reader;
  int signal = 0;
  hold(
      conversation, [&](std::string& line) { return reader.next(line) ? Input::line : Input::end; },
      signal);
  return signal == 0 ? 0 : 128 + signal;
}

}  // namespace ropewalk
