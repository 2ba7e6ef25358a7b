// command_line.cpp — every command and option but those of evaluation_options.cpp,
// adapter_options.cpp and quantize_options.cpp. Beside them only shell/command_tree.cpp uses CLI11.
#include "apps/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "apps/adapter/adapter_options.h"
#include "apps/commands.h"
#include "apps/common_options.h"
#include "apps/evaluation/evaluation_options.h"
#include "apps/number_options.h"
#include "apps/output.h"
#include "apps/quantize/quantize_options.h"
#include "apps/shell/completion.h"
#include "apps/shell/manual.h"
#include "core/abi/plugin.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/foreign_names.h"
#include "core/config/nearest.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

using Action = std::function<int()>;

constexpr uint32_t kMaxBatch = 512;  // the widest row bucket

std::string version_text() {
  return fmt::format("ropewalk {} (plugin ABI {}.{}, {})", ROPEWALK_VERSION, abi::kAbiMajor,
                     abi::kAbiMinor, abi::kToolchain);
}

void add_common(CLI::App& app, CommonArguments& common) {
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", version_text());
  app.add_option("--set", common.overrides,
                 "Override the configuration: key.path=value, as often as needed")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  add_shorthand(app, common, "--backend", "backend", "auto, cuda, vulkan, cpu or one of yours")
      ->type_name("auto|cuda|vulkan|cpu|NAME");
  app.add_flag_callback(
      "--strict", [&common] { common.trust = Trust::refuse; },
      "Refuse configurations and plugin folders that every user may write, instead of warning");
  CLI::Option* quiet = app.add_flag("--quiet", common.quiet, "No notes, warnings or progress");
  app.add_flag("--verbose", common.verbose, "More notes, and statistics")->excludes(quiet);
  app.footer("");
  // Collected, so that an unknown option is answered with the nearest known one.
  app.allow_extras();
}

void add_trace(CLI::App& app, CommonArguments& common) {
  app.add_option("--trace", common.trace,
                 "Write where the time of every step goes, as a trace for ui.perfetto.dev")
      ->type_name("FILE");
}

template <class File>  // std::string or an optional one
CLI::Option* add_file(CLI::App& app, const std::string& name, File& file, const std::string& help) {
  return app.add_option(name, file, help + "; - is standard input")->type_name("FILE");
}

// What people set most often, by the names that other programs taught them.
void add_generation(CLI::App& app, CommonArguments& common) {
  add_shorthand(app, common, "-n,--max-new-tokens", "generation.max_new_tokens",
                "Tokens of a reply");
  add_shorthand(app, common, "--seed", "generation.seed", "Seed of the random numbers");
  add_shorthand(app, common, "--temp,--temperature", "sampling.temperature",
                "Temperature of the sampler");
  add_shorthand(app, common, "--adapter", "adapter", "Which of the configuration's adapters runs");
}

// Each --meta belongs to the --input before it, so both are taken as they come.
std::vector<CLI::Option*> add_inputs(CLI::App& app, RunArguments& run) {
  CLI::Option* input =
      app.add_option_function<std::string>(
             "--input", [&run](const std::string& file) { run.inputs.push_back({file}); },
             "A text to answer from, as often as needed; - is standard input")
          ->type_name("FILE")
          ->trigger_on_parse();
  const auto add_meta = [&run](const std::string& entry) {
    if (run.inputs.empty()) throw CLI::ValidationError("--meta", "stands before every --input");
    run.inputs.back().metadata.push_back(entry);
  };
  app.add_option_function<std::string>("--meta", add_meta,
                                       "What is known of the --input before it, as often as needed")
      ->type_name("KEY=VALUE")
      ->trigger_on_parse();
  CLI::Option* instruction =
      app.add_option("--instruction", run.instructions, "What to do with the inputs")
          ->type_name("TEXT")
          ->allow_extra_args(false);
  return {input, instruction};
}

void add_options(CLI::App& app, RunArguments& run) {
  add_config(app, run.common)->required();
  CLI::Option* text = app.add_option("PROMPT,-p,--prompt", run.prompt,
                                     "What the user says; - reads it from standard input")
                          ->type_name("TEXT");
  CLI::Option* file = add_file(app, "--prompt-file", run.prompt_file, "The same, from a file");
  CLI::Option* ids =
      add_file(app, "--prompt-ids", run.prompt_ids, "Token ids to continue, exactly as they are");
  CLI::Option* job = app.add_option("--job", run.job, "Inputs and instructions, from a YAML file")
                         ->type_name("FILE");
  std::vector<CLI::Option*> prompts = {text, file, ids, job};
  for (CLI::Option* prompt : prompts)
    for (CLI::Option* other : prompts)
      if (prompt != other) prompt->excludes(other);
  for (CLI::Option* option : add_inputs(app, run))
    for (CLI::Option* prompt : prompts) option->excludes(prompt);
  app.add_flag("--plain", run.plain, "Ask for code alone: PLAINFORMAT after the instructions")
      ->excludes(ids);
  add_generation(app, run.common);
  add_trace(app, run.common);
  add_json(app, run.common);
}

void add_options(CLI::App& app, ChatArguments& chat) {
  add_config(app, chat.common)->required();
  add_generation(app, chat.common);
}

void add_options(CLI::App& app, ServeArguments& serve) {
  add_config(app, serve.common)->required();
  // Quoted, as [::1]:8000 would be a list in YAML.
  app.add_option_function<std::string>(
         "--listen",
         [&serve](const std::string& value) {
           serve.common.overrides.insert(serve.common.overrides.begin(),
                                         "serve.listen=" + Json(value).dump());
         },
         "Where clients find the server (--set serve.listen=...)")
      ->type_name("ADDR:PORT");
}

void add_questions(CLI::App& app, std::string& input) {
  app.add_option("--input", input, "Questions in the form of OpenAI's Batch API, one a line")
      ->type_name("FILE.jsonl")
      ->required();
}

void add_options(CLI::App& app, BatchArguments& batch) {
  add_config(app, batch.common)->required();
  add_questions(app, batch.input);
  app.add_option("--output", batch.output,
                 "Where the answers go; an interrupted run goes on where it ended")
      ->type_name("FILE.jsonl")
      ->required();
  app.add_option("--errors", batch.errors, "Where lines that failed go instead")
      ->type_name("FILE.jsonl");
  app.add_option("--shard", batch.shard, "Answer the i-th of n parts of the lines, from 0/n")
      ->type_name("i/n");
  app.add_option("--max-inflight", batch.max_in_flight,
                 "Lines that are asked at a time, default twice serve.max_sequences")
      ->type_name("N")
      ->check(between(1u, kMaxTokenCount));
  app.add_flag("--retry-errors", batch.retry_errors, "Ask lines that failed once more");
  add_json(app, batch.common);
}

void add_options(CLI::App& app, MergeArguments& merge) {
  add_questions(app, merge.input);
  app.add_option("--output", merge.output, "Where the joined answers go, in the input's order")
      ->type_name("FILE.jsonl")
      ->required();
  app.add_option("PART", merge.parts, "The outputs of all shards")->required();
  add_json(app, merge.common);
}

void add_options(CLI::App& app, ScoreArguments& score) {
  add_config(app, score.common)->required();
  add_file(app, "--ids", score.ids, "Token ids, decimal, separated by white space")->required();
  add_json(app, score.common);
}

void add_options(CLI::App& app, InspectArguments& inspect) {
  add_config(app, inspect.common)->required();
  app.add_flag("--verify", inspect.verify, "Read every tensor and count NaN, infinity and zeros");
  add_json(app, inspect.common);
}

void add_options(CLI::App& app, PluginsArguments& plugins) {
  add_config(app, plugins.common);
  app.add_option("FILTER", plugins.filter,
                 "A kind (samplers, ...) or a plugin's name, to see alone")
      ->type_name("backends|samplers|prompt-formats|rope-scaling|NAME");
  add_json(app, plugins.common);
  app.add_flag("--markdown", plugins.markdown, "Print docs/plugins.md")->excludes("--json");
}

void add_options(CLI::App& app, NewArguments& made) {
  app.add_option("KIND", made.kind, "sampler, prompt-format or rope-scaling")
      ->type_name("sampler|prompt-format|rope-scaling")
      ->required();
  app.add_option("NAME", made.name, "Name of the plugin and of its folder")->required();
  app.add_option("--into", made.into, "Folder to make it in")->type_name("DIR");
  app.add_option("--model", made.model, "Model of the example, default the bundled one")
      ->type_name("DIR");
}

void add_options(CLI::App& app, DevicesArguments& devices) { add_json(app, devices.common); }

void add_options(CLI::App& app, ConfigArguments& config) {
  add_config(app, config.common)->required();
  app.add_flag("--dump", config.dump, "Print every value and where it comes from")->required();
}

void add_options(CLI::App& app, TokenizeArguments& tokenize) {
  add_config(app, tokenize.common)->required();
  add_file(app, "--text", tokenize.text, "The text")->required();
  app.add_flag("--bos", tokenize.bos, "Put the beginning-of-sequence token in front");
  add_json(app, tokenize.common);
}

void add_options(CLI::App& app, RenderArguments& render) {
  add_config(app, render.common)->required();
  add_file(app, "--messages", render.messages, R"(A JSON list of {"role": ..., "content": ...})")
      ->required();
  add_json(app, render.common);
}

void add_options(CLI::App& app, BenchArguments& bench) {
  CLI::Option* config = add_config(app, bench.common);
  app.add_option("--shape", bench.shape, "Random weights of this shape instead of a checkpoint")
      ->type_name("NAME")
      ->excludes(config);
  app.add_option("--quant", bench.quant,
                 "How --shape is quantised: gptq4-g32-act, gptq4-g128, f16, ...")
      ->type_name("NAME")
      ->excludes(config);
  app.add_option("--layers", bench.layers, "Only so many layers of --shape")
      ->type_name("N")
      ->check(between(1u, kMaxTokenCount))
      ->excludes(config);
  add_counts(app, "--prompt", bench.prompts, between(1u, kMaxTokenCount),
             "Tokens in the context, default 512; --shape alone on a GPU takes a table");
  add_counts(app, "--batch", bench.batches, between(1u, kMaxBatch),
             "Sequences decoded together, default 1");
  bench.decode = 128;
  app.add_option("--decode", bench.decode, "Decode steps to time")
      ->type_name("N")
      ->check(between(1u, kMaxTokenCount))
      ->capture_default_str();
  app.add_option(
         "--adapters", bench.adapters,
         "Random adapters on all linear layers; each decode row comes without and with them")
      ->type_name("N")
      ->check(between(1u, kMaxBatch));
  bench.adapter_rank = 64;
  app.add_option("--adapter-rank", bench.adapter_rank, "Rank of --adapters")
      ->type_name("R")
      ->check(between(1u, 512u))
      ->capture_default_str();
  add_trace(app, bench.common);
  add_json(app, bench.common);
}

template <class Arguments>
void add_command(CLI::App& program, Action& action, const char* name, const char* help,
                 int (*command)(const Arguments&)) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program.add_subcommand(name, help);
  add_common(*app, arguments->common);
  add_options(*app, *arguments);
  app->callback([&action, arguments, command] {
    action = [arguments, command] {
      const CommonArguments& common = arguments->common;
      set_verbosity(common.quiet     ? Verbosity::quiet
                    : common.verbose ? Verbosity::verbose
                                     : Verbosity::normal);
      return command(*arguments);
    };
  });
}

void add_adapter_commands(CLI::App& program, Action& action) {
  CLI::App* group = program.add_subcommand("adapter", "Check, merge or combine LoRA adapters");
  group->set_help_flag("-h,--help", "Print this help and exit");
  group->footer("`ropewalk adapter COMMAND --help` tells a command's options.");
  group->allow_extras();
  add_command(*group, action, "check", "What an adapter is, and whether it belongs to a model",
              adapter_check);
  add_command(*group, action, "merge", "Make a model with adapters in its weights", adapter_merge);
  add_command(*group, action, "combine", "Make one adapter of several", adapter_combine);
}

Action printing(std::string text) {
  return [text = std::move(text)] {
    print(text);
    return 0;
  };
}

// What the program tells shells and man about itself.
void add_own_descriptions(CLI::App& program, Action& action) {
  CLI::App* completion =
      program.add_subcommand("completion", "Print a script by which a shell completes commands");
  const auto shell = std::make_shared<std::string>();
  completion->set_help_flag("-h,--help", "Print this help and exit");
  completion->add_option("SHELL", *shell, "The shell")->type_name("bash|fish|zsh")->required();
  completion->footer("For bash: source <(ropewalk completion bash)");
  completion->allow_extras();
  completion->callback([&program, &action, shell] {
    const std::vector<std::string> known = known_shells();
    if (std::ranges::find(known, *shell) == known.end())
      refuse_command_line(fmt::format("unknown shell {}", printable(*shell)),
                          suggestion(*shell, known));
    action = printing(completion_script(*shell, describe_commands(program)));
  });
  CLI::App* manual = program.add_subcommand("manual", "Print the manual page, for man");
  manual->set_help_flag("-h,--help", "Print this help and exit");
  manual->footer("To read it: ropewalk manual | man -l -");
  manual->allow_extras();
  manual->callback([&program, &action] {
    action = printing(
        manual_page(describe_commands(program), fmt::format("ropewalk {}", ROPEWALK_VERSION)));
  });
}

void add_commands(CLI::App& program, Action& action) {
  add_command(program, action, "run", "Answer one prompt", run);
  add_command(program, action, "chat", "Hold a conversation", chat);
  add_command(program, action, "serve", "Serve many users over HTTP, as OpenAI's clients expect",
              serve_http);
  add_command(program, action, "batch",
              "Answer a file of questions, however often it is interrupted", answer_batch);
  add_command(program, action, "merge", "Join the shards of a batch, if nothing is missing",
              merge_batch);
  add_command(program, action, "score", "Log-probability of every token given those before", score);
  add_command(program, action, "perplexity", "A text's perplexity, by context length", perplexity);
  add_command(program, action, "compare", "How far two configurations' predictions are apart",
              compare);
  add_command(program, action, "recall", "Find a text at any depth of a long prompt", recall);
  add_command(program, action, "mmlu", "Multiple choice questions by subject", mmlu);
  add_command(program, action, "inspect", "What a model is, and whether its files are sound",
              inspect);
  add_command(program, action, "plugins", "List backends and plugins with their options", plugins);
  add_command(program, action, "new", "Start a plugin of your own", new_plugin);
  add_command(program, action, "devices", "List devices, and why one is not usable", devices);
  add_command(program, action, "config", "Print the effective configuration", config);
  add_command(program, action, "bench", "Measure speed against the device's limits", bench);
  add_command(program, action, "tokenize", "Print the token ids of a text", tokenize);
  add_command(program, action, "render", "Print the prompt that a conversation becomes", render);
  add_adapter_commands(program, action);
  add_command(program, action, "quantize", "Make a GPTQ model of a dense one", quantize_model);
  add_own_descriptions(program, action);
}

// The innermost command that was named: `merge` of `ropewalk adapter merge`.
const CLI::App& chosen_command(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands())
    if (!command->get_name().empty()) return chosen_command(*command);  // option groups have none
  return app;
}

// A command as it is typed: "ropewalk adapter merge".
std::string typed(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent ? typed(*parent) + " " + command.get_name() : command.get_name();
}

std::string see_help(const CLI::App& app) { return fmt::format("See `{} --help`", typed(app)); }

std::vector<std::string> subcommand_names(const CLI::App& program) {
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::string advice_on(const std::string& name, const CLI::App& app) {
  if (const auto advice = advice_on_option(name); !advice.empty()) return std::string(advice);
  const std::string key = key_of_option(name);
  if (!key.empty())
    return fmt::format("Write --set {}=VALUE, or the key into the configuration", key);
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& longer : option->get_lnames()) known.push_back("--" + longer);
  return fmt::format("{}, see `{} --help`", suggestion(name, known), typed(app));
}

// Refuses the first argument that the parser left over and suggests the nearest known one.
void refuse_extras(const CLI::App& app) {
  const std::vector<std::string> extras = app.remaining();
  for (const std::string& extra : extras) {
    if (!extra.starts_with('-') || extra == "-" || extra == "--") continue;
    const std::string name = extra.substr(0, extra.find('='));
    refuse_command_line(fmt::format("unknown option {}", printable(name)), advice_on(name, app));
  }
  for (const std::string& extra : extras) {
    if (extra == "--") continue;
    const bool is_prompt = app.get_name() == "run" || app.get_name() == "chat";
    refuse_command_line(
        fmt::format("unexpected argument {}", printable(extra)),
        (is_prompt ? "Put a prompt of several words in quotes. " : "") + see_help(app));
  }
}

// `app` is the program, or a command that has commands of its own.
void refuse_unknown_command(const CLI::App& app) {
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) refuse_command_line("no command was given", see_help(app));
  if (extras.front().starts_with('-')) refuse_extras(app);
  const std::string_view advice = advice_on_command(extras.front());
  refuse_command_line(fmt::format("unknown command {}", printable(extras.front())),
                      advice.empty() ? suggestion(extras.front(), subcommand_names(app)) : advice);
}

// "-ngl 99" is not -n with the value gl. Of short options that the parser took apart.
void refuse_foreign(const CLI::App& app, std::span<const char* const> words) {
  for (const std::string_view word : words) {
    if (word == "--") return;
    if (word.size() > 2 && !word.starts_with("--") && !advice_on_option(word).empty())
      refuse_command_line(fmt::format("unknown option {}", word),
                          advice_on(std::string(word), app));
  }
}

// What the parser says of a number of arguments, in our words.
std::string counted(const std::string& what) {
  constexpr std::string_view kTheirs = ": At Most 1 required but received ";
  const size_t at = what.find(kTheirs), count = at + kTheirs.size();
  if (at == std::string::npos) return what;
  const std::string option = what.substr(0, at);
  return fmt::format("{} is given {} times, expected once",
                     option == "--model" ? "CONFIG or --model" : option, what.substr(count));
}

// `ropewalk help run` as `ropewalk run --help`.
std::vector<const char*> with_help_as_option(int argc, const char* const* argv) {
  std::vector<const char*> words(argv, argv + argc);
  if (argc < 2 || words[1] != std::string_view("help")) return words;
  words.erase(words.begin() + 1);
  words.push_back("--help");
  return words;
}

}  // namespace

void refuse_command_line(std::string_view what, std::string_view advice) {
  throw Error(ExitCode::usage, "command line", what, advice);
}

std::function<int()> parse_command_line(int argc, const char* const* argv) {
  const std::vector<const char*> words = with_help_as_option(argc, argv);
  CLI::App program{"Runs and serves Llama-family models quantised with GPTQ, as a YAML file says.",
                   "ropewalk"};
  program.set_version_flag("--version", version_text());
  program.set_help_flag("-h,--help", "Print this help and exit");
  program.allow_extras();
  program.footer("`ropewalk COMMAND --help` lists a command's options.");
  Action action;
  add_commands(program, action);
  try {
    program.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::CallForHelp&) {
    const bool unknown = &chosen_command(program) == &program && !program.remaining().empty();
    if (unknown) refuse_unknown_command(program);  // "help NAME" too
    return printing(program.help());
  } catch (const CLI::CallForVersion& version) {
    return printing(std::string(version.what()) + "\n");
  } catch (const CLI::ParseError& error) {
    std::string what = error.what();
    if (what.ends_with('.')) what.pop_back();
    if (what == "--model is required") what = "CONFIG is required";  // it has both names
    refuse_foreign(chosen_command(program), words);
    // An unknown option may be why something else is missing.
    if (&chosen_command(program) != &program) refuse_extras(chosen_command(program));
    refuse_command_line(counted(what), see_help(chosen_command(program)));
  }
  if (!action) refuse_unknown_command(chosen_command(program));
  refuse_foreign(chosen_command(program), words);
  refuse_extras(chosen_command(program));
  return action;
}

}  // namespace ropewalk
