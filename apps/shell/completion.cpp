#include "apps/shell/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace ropewalk {
namespace {

// All three scripts find the command that is meant in the same way: `at` begins empty and grows by
// each word that names a command there, to " adapter merge".

// 'text' of every shell here.
std::string in_shell_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string quoted_all(const std::vector<std::string>& texts, std::string_view between) {
  std::vector<std::string> all;
  for (const std::string& text : texts) all.push_back(in_shell_quotes(text));
  return fmt::format("{}", fmt::join(all, between));
}

std::vector<std::string> paths_below(const CommandNode& program) {
  std::vector<std::string> paths;
  for (const CommandNode* node : all_nodes(program))
    if (!node->path.empty()) paths.push_back(node->path);
  return paths;
}

std::vector<std::string> option_names(const CommandNode& node) {
  std::vector<std::string> names;
  for (const CommandOption& option : node.options)
    names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

// What may stand at a place of its own: commands, or words of positional arguments.
std::vector<std::string> place_words(const CommandNode& node) {
  std::vector<std::string> words;
  for (const CommandNode& command : node.commands) words.push_back(command.name());
  for (const CommandOption& option : node.options)
    if (!option.place.empty())
      for (const std::string& word : option.words()) words.push_back(word);
  return words;
}

// Names of options that take a value, with the words that can be listed. A name means the same in
// every command that has it.
std::map<std::string, std::vector<std::string>> value_words(const CommandNode& program) {
  std::map<std::string, std::vector<std::string>> words;
  for (const CommandNode* node : all_nodes(program))
    for (const CommandOption& option : node->options)
      if (!option.value.empty())
        for (const std::string& name : option.names)
          if (std::vector<std::string>& known = words[name]; known.empty()) known = option.words();
  return words;
}

// In bash and zsh:  --a|--b) ACTION ;;
std::string value_cases(const CommandNode& program, std::string_view with_words,
                        std::string_view without) {
  std::string cases;
  std::vector<std::string> plain;
  for (const auto& [name, words] : value_words(program)) {
    if (words.empty())
      plain.push_back(name);
    else
      cases += fmt::format("    {}) {} ;;\n", name,
                           fmt::format(fmt::runtime(with_words), fmt::join(words, " ")));
  }
  return cases + fmt::format("    {}) {} ;;\n", fmt::join(plain, "|"), without);
}

std::string bash_script(const CommandNode& program) {
  std::string nodes;
  for (const CommandNode* node : all_nodes(program))
    nodes += fmt::format("    {}) options={} words={} ;;\n", in_shell_quotes(node->path),
                         in_shell_quotes(fmt::format("{}", fmt::join(option_names(*node), " "))),
                         in_shell_quotes(fmt::format("{}", fmt::join(place_words(*node), " "))));
  return fmt::format(R"(# Completion of ropewalk for bash, written by `ropewalk completion bash`.
_ropewalk() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  local at='' options='' words='' i
  # bash makes words of their own of the = in --set=KEY.
  [[ $word == '=' ]] && word=
  [[ $before == '=' ]] && before=${{COMP_WORDS[COMP_CWORD-2]}}
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at ${{COMP_WORDS[i]}}" in
      {0}) at+=" ${{COMP_WORDS[i]}}" ;;
    esac
  done
  COMPREPLY=()
  case "$before" in
{1}  esac
  if [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [[ ${{COMPREPLY[*]}} == *= ]] && compopt -o nospace
    return
  fi
  case "$at" in
{2}  esac
  [[ $word == -* ]] && words=$options
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
# Where nothing of this fits, files are offered.
complete -o bashdefault -o default -F _ropewalk ropewalk
)",
                     quoted_all(paths_below(program), "|"),
                     value_cases(program, "words='{}'", "return"), nodes);
}

// NAME:HELP of zsh's _describe.
std::string described(std::string name, std::string_view help) {
  for (size_t at = 0; (at = name.find(':', at)) != std::string::npos; at += 2)
    name.insert(at, "\\");
  return in_shell_quotes(fmt::format("{}:{}", name, help));
}

std::string zsh_script(const CommandNode& program) {
  std::string nodes;
  for (const CommandNode* node : all_nodes(program)) {
    nodes += fmt::format("    {})\n      options=(", in_shell_quotes(node->path));
    for (const CommandOption& option : node->options)
      for (const std::string& name : option.names)
        nodes += "\n        " + described(name, option.help);
    nodes += ")\n      words_here=(";
    for (const CommandNode& command : node->commands)
      nodes += "\n        " + described(command.name(), command.help);
    if (node->commands.empty())
      for (const std::string& word : place_words(*node))
        nodes += "\n        " + in_shell_quotes(word);
    nodes += ") ;;\n";
  }
  return fmt::format(R"(#compdef ropewalk
# Completion of ropewalk for zsh, written by `ropewalk completion zsh`.
_ropewalk() {{
  local word=$words[CURRENT] before=$words[CURRENT-1] at='' i
  local -a options words_here
  for ((i = 2; i < CURRENT; i++)); do
    case "$at $words[i]" in
      ({0}) at+=" $words[i]" ;;
    esac
  done
  case "$before" in
{1}  esac
  case "$at" in
{2}  esac
  if [[ $word == -* ]]; then
    _describe option options
  elif (( $#words_here )); then
    _describe argument words_here
  else
    _files
  fi
}}
_ropewalk "$@"
)",
                     quoted_all(paths_below(program), "|"),
                     value_cases(program, "compadd -S '' -- {}; return", "_files; return"), nodes);
}

std::string fish_option(const std::string& path, const CommandOption& option) {
  if (option.names.empty()) return "";
  std::string line = fmt::format("complete -c ropewalk -n \"__ropewalk_at '{}'\"", path);
  for (const std::string& name : option.names)
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  const std::vector<std::string> words = option.words();
  if (!words.empty())
    line += fmt::format(" -x -a {}", in_shell_quotes(fmt::format("{}", fmt::join(words, " "))));
  else if (!option.value.empty())
    line += " -r";
  return line + fmt::format(" -d {}\n", in_shell_quotes(option.help));
}

std::string fish_script(const CommandNode& program) {
  std::string lines;
  for (const CommandNode* node : all_nodes(program)) {
    const auto add_word = [&](const std::string& word, const std::string& help) {
      lines += fmt::format("complete -c ropewalk -n \"__ropewalk_at '{}'\" -f -a {} -d {}\n",
                           node->path, in_shell_quotes(word), in_shell_quotes(help));
    };
    for (const CommandNode& command : node->commands) add_word(command.name(), command.help);
    for (const CommandOption& option : node->options) {
      if (!option.place.empty())
        for (const std::string& word : option.words()) add_word(word, option.help);
      lines += fish_option(node->path, option);
    }
  }
  return fmt::format(R"(# Completion of ropewalk for fish, written by `ropewalk completion fish`.
function __ropewalk_at
    set -l at ''
    set -l tokens (commandline -opc)
    set -e tokens[1]
    for token in $tokens
        switch "$at $token"
            case {0}
                set at "$at $token"
        end
    end
    test "$at" = "$argv[1]"
end
{1})",
                     quoted_all(paths_below(program), " "), lines);
}

struct Shell {
  const char* name;
  std::string (*script)(const CommandNode& program);
};
constexpr Shell kShells[] = {{"bash", bash_script}, {"fish", fish_script}, {"zsh", zsh_script}};

}  // namespace

std::vector<std::string> known_shells() {
  std::vector<std::string> names;
  for (const Shell& shell : kShells) names.emplace_back(shell.name);
  return names;
}

std::string completion_script(std::string_view shell, const CommandNode& program) {
  for (const Shell& known : kShells)
    if (known.name == shell) return known.script(program);
  return "";
}

}  // namespace ropewalk
