// chat.cpp — `ropewalk chat CONFIG`: a conversation, line by line.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

#include "apps/chat/conversation.h"
#include "apps/chat/line_editor.h"
#include "apps/commands.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/output.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

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
  note(system.empty() ? "there is no system message"
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
    {"/set", "KEY=VALUE", "as sampling.temperature=0.7 or generation.seed=1",
     [](Conversation& c, const std::string& text) { return c.set(text), 0; }},
    {"/save", "FILE", "keep the conversation",
     [](Conversation& c, const std::string& file) { return c.save(file), 0; }},
    {"/load", "FILE", "go on with one that was kept",
     [](Conversation& c, const std::string& file) { return c.load(file), 0; }},
};

void print_help() {
  for (const Command& command : kCommands)
    fmt::print(stderr, "{:<19}{}\n", fmt::format("{} {}", command.name, command.argument),
               command.help);
  fmt::print(stderr,
             "{:<19}leave (so does Ctrl-D)\n"
             "Ctrl-C stops a reply. Begin a line with // to say something that begins with /.\n",
             "/quit");
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
  if (name == "/help") return print_help(), 0;
  const auto command = std::ranges::find(kCommands, name, &Command::name);
  if (command == std::end(kCommands)) {
    warn(fmt::format("{} is no command; /help lists them", printable(name)));
    return 0;
  }
  if (!takes(*command, argument)) {
    warn(command->argument.empty() ? fmt::format("{} takes nothing behind it", name)
                                   : fmt::format("write {} {}", name, command->argument));
    return 0;
  }
  try {
    return command->run(conversation, argument);
  } catch (const Error& error) {
    if (name == "/retry") throw;
    warn(error.what());  // a wrong file must not end the conversation
    return 0;
  }
}

int hold(Conversation& conversation, const std::function<bool(std::string&)>& next_line) {
  std::string line;
  while (next_line(line)) {
    int signal = 0;
    if (utf8_first_error(line) != std::string_view::npos)
      warn("that line is not UTF-8 and was not sent");
    else if (command_name(line) == "/quit")
      return 0;
    else if (line.starts_with('/') && !line.starts_with("//"))
      signal = run_command(conversation, line);
    else if (!line.empty())
      signal = conversation.say(line.starts_with("//") ? line.substr(1) : line);
    if (signal != 0) return 128 + signal;
  }
  return 0;
}

}  // namespace

int chat(const ChatArguments& arguments) {
  Engine engine = open_engine(arguments.common, open_config(arguments.common), TextNeed::required);
  Conversation conversation(engine, arguments.common);
  if (stdin_is_terminal() && stderr_is_terminal() && !arguments.common.quiet) {
    LineEditor editor;
    return hold(conversation, [&](std::string& line) { return editor.next(line); });
  }
  LineReader reader;
  return hold(conversation, [&](std::string& line) { return reader.next(line); });
}

}  // namespace ropewalk
