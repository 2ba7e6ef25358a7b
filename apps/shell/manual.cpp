#include "apps/shell/manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace ropewalk {
namespace {

// The same in docs/cli.md.
constexpr std::array kExitCodes = {
    std::pair{"0", "ok; also where the reader of standard output has left"},
    std::pair{"1", "batch and merge: everything is answered, and some lines with an error"},
    std::pair{"2", "command line or configuration"},
    std::pair{"3", "a model file is bad or unreadable"},
    std::pair{"4", "a plugin or a backend's library"},
    std::pair{"5", "no usable device, or it lacks a feature"},
    std::pair{"6", "out of memory, on the host or on the device"},
    std::pair{"7", "device lost"},
    std::pair{"8", "output could not be written"},
    std::pair{"9", "numbers that are not finite"},
    std::pair{"10", "the prompt does not fit, or another limit"},
    std::pair{"70", "a bug in Ropewalk; please report it"},
    std::pair{"130, 143", "ended by SIGINT or SIGTERM"},
};
constexpr std::array kEnvironment = {
    std::pair{"HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME",
              "where models that are named ORG/NAME are looked for"},
    std::pair{"XDG_STATE_HOME",
              "where chat keeps its history and a conversation that was not "
              "saved; by default ~/.local/state"},
    std::pair{"ROPEWALK_API_KEYS", "keys that serve accepts beside those of its file"},
    std::pair{"NO_COLOR", "where it is not empty, nothing is printed in colour or in reverse"},
    std::pair{"TERM", "dumb: no progress is drawn"},
};

// A text that roff reads as it is.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool begins = out.empty() || out.back() == '\n';
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    out += c == '\\' ? std::string("\\e") : c == '-' ? std::string("\\-") : std::string(1, c);
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + plain(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + plain(text) + "\\fR"; }

// A paragraph with `head` hanging to the left.
std::string entry(const std::string& head, std::string_view text) {
  return fmt::format(".TP\n{}\n{}\n", head, plain(text));
}

std::string option_head(const CommandOption& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back(bold(name));
  if (names.empty()) return italic(option.place);
  std::string head = fmt::format("{}", fmt::join(names, ", "));
  if (!option.value.empty()) head += " " + italic(option.value);
  return option.place.empty() ? head : italic(option.place) + " or " + head;
}

std::string option_entry(const CommandOption& option) {
  std::string help = option.help;
  if (option.required) help += "; required";
  if (!option.default_value.empty()) help += fmt::format("; default {}", option.default_value);
  return entry(option_head(option), help);
}

// Options that all have which read a configuration.
std::vector<CommandOption> common_options(std::vector<const CommandNode*> commands) {
  std::erase_if(commands, [](const CommandNode* command) {
    return std::ranges::none_of(command->options, [](const CommandOption& option) {
      return std::ranges::find(option.names, "--set") != option.names.end();
    });
  });
  std::vector<CommandOption> common = commands.front()->options;
  std::erase_if(common, [&](const CommandOption& option) {
    return !std::ranges::all_of(commands, [&](const CommandNode* command) {
      return std::ranges::find(command->options, option) != command->options.end();
    });
  });
  return common;
}

// "ropewalk run CONFIG [PROMPT]"
std::string usage(const CommandNode& command) {
  std::string line = "ropewalk" + command.path;
  for (const CommandOption& option : command.options)
    if (!option.place.empty())
      line += option.required ? " " + option.place : fmt::format(" [{}]", option.place);
  return line;
}

std::string command_section(const CommandNode& command, const std::vector<CommandOption>& common) {
  std::string text = fmt::format(".SS \"{}\"\n{}.\n", plain(usage(command)), plain(command.help));
  for (const CommandOption& option : command.options)
    if (std::ranges::find(common, option) == common.end()) text += option_entry(option);
  return text;
}

template <size_t Count>
std::string table(const std::array<std::pair<const char*, const char*>, Count>& rows) {
  std::string text;
  for (const auto& [name, meaning] : rows) text += entry(bold(name), meaning);
  return text;
}

}  // namespace

std::string manual_page(const CommandNode& program, const std::string& version) {
  std::vector<const CommandNode*> commands;
  for (const CommandNode* node : all_nodes(program))
    if (node->commands.empty()) commands.push_back(node);
  const std::vector<CommandOption> common = common_options(commands);
  std::string page = fmt::format(
      ".\\\" Written by `ropewalk manual`.\n"
      ".TH ROPEWALK 1 \"\" \"{0}\" \"User Commands\"\n"
      ".SH NAME\nropewalk \\- runs language models quantised with GPTQ\n"
      ".SH SYNOPSIS\n.B ropewalk\n.I COMMAND\n.RI [ OPTION ]...\n"
      ".SH DESCRIPTION\n{1}\n.PP\n"
      "CONFIG is a YAML file, the folder of a model, or ORG/NAME in the local cache of Hugging "
      "Face's hub.\nThe answer goes to standard output, everything else to standard error.\n"
      ".SH COMMON OPTIONS\nAll commands that read a configuration have these.\n",
      plain(version), plain(program.help));
  for (const CommandOption& option : common) page += option_entry(option);
  page += ".SH COMMANDS\n";
  for (const CommandNode* command : commands) page += command_section(*command, common);
  page += ".SH ENVIRONMENT\n" + table(kEnvironment);
  page += ".SH EXIT STATUS\n" + table(kExitCodes);
  return page +
         ".SH SEE ALSO\nEvery key of a configuration and the form of all answers: cli.md and "
         "reference.yaml, which are installed with ropewalk.\n";
}

}  // namespace ropewalk
