#include "apps/chat/question.h"

#include <utility>

#include "apps/chat/job.h"
#include "apps/input.h"
#include "apps/output.h"
#include "core/base/error.h"
#include "core/text/closed_context.h"

namespace ropewalk {
namespace {

std::string text_from_stdin() {
  if (stdin_is_terminal())
    throw Error(
        ExitCode::usage, "command line", "no prompt was given",
        "Use --prompt TEXT, --prompt-file FILE or --prompt-ids FILE, or pipe the prompt in");
  std::string text = read_text("-");
  if (text.empty())
    throw Error(ExitCode::usage, "standard input", "it is empty, expected a prompt",
                "Use --prompt TEXT, or pipe the prompt in");
  return text;
}

ContextInput read_context(const InputArgument& argument) {
  ContextInput input{.where = argument.file, .metadata = {}, .text = read_text(argument.file)};
  for (const std::string& given : argument.metadata) {
    const size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(ExitCode::usage, "--meta " + printable(given), "expected key=value",
                  "For example --meta date=2021-01-01");
    input.metadata.push_back({given.substr(0, equals), given.substr(equals + 1)});
  }
  return input;
}

ClosedContextJob job_of(const RunArguments& arguments) {
  if (arguments.job) {
    ClosedContextJob job = read_job(*arguments.job, arguments.common.trust);
    job.plain |= arguments.plain;
    return job;
  }
  ClosedContextJob job{
      .inputs = {}, .instructions = arguments.instructions, .plain = arguments.plain};
  for (const InputArgument& input : arguments.inputs) job.inputs.push_back(read_context(input));
  return job;
}

// The user's message, and whether PLAINFORMAT must still be appended.
std::string message_of(const RunArguments& arguments) {
  if (arguments.job || !arguments.inputs.empty() || !arguments.instructions.empty()) {
    ClosedContextJob job = job_of(arguments);
    // Inside the block, where the model was trained to find it.
    if (job.plain && !job.instructions.empty())
      job.instructions.back() = plain_instruction(job.instructions.back());
    return closed_context_prompt(job.inputs, job.instructions);
  }
  std::string text;
  if (arguments.prompt_file)
    text = read_text(*arguments.prompt_file);
  else if (arguments.prompt && *arguments.prompt != "-")
    text = clean_text(*arguments.prompt, "--prompt");
  else
    text = arguments.prompt ? read_text("-") : text_from_stdin();
  return arguments.plain ? plain_instruction(text) : text;
}

}  // namespace

Question read_question(const RunArguments& arguments) {
  if (arguments.prompt_ids)
    return {.text = {}, .ids = read_ids(*arguments.prompt_ids), .is_ids = true};
  return {.text = message_of(arguments), .ids = {}};
}

}  // namespace ropewalk
