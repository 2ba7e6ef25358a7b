// mmlu.h — multiple choice questions as prompts, character by character as in published scores.
//
// Sources: hendrycks/test evaluate.py (format_subject, format_example, gen_prompt);
// EleutherAI/lm-evaluation-harness tasks/mmlu/default/_default_template_yaml.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

struct MmluQuestion {
  std::string text;
  std::array<std::string, 4> choices;
  uint32_t answer;  // 0 to 3
};

// Rows of question, four choices and a letter, without a header, as dev/ and test/ have them.
// Throws Error(usage) with FILE:LINE for a wrong number of cells or a wrong letter.
std::vector<MmluQuestion> parse_mmlu(std::string_view csv, const std::string& file);

// How the prompt is worded. hendrycks has two spaces before the subject and leaves the question as
// it is; lm_eval has one space and strips white space around the question.
enum class MmluForm { hendrycks, lm_eval };

std::optional<MmluForm> mmlu_form_named(std::string_view name);

// The subject's introduction, the shots with their answers, and the question up to "Answer:".
// `subject` is a file's name without its ending: "abstract_algebra".
std::string mmlu_prompt(MmluForm form, std::string_view subject,
                        std::span<const MmluQuestion> shots, const MmluQuestion& question);

struct MmluScore {
  std::string subject;
  uint32_t questions = 0, correct = 0;
  uint32_t shortened = 0;  // asked with fewer shots, to fit the context

  double accuracy() const { return questions ? static_cast<double>(correct) / questions : 0; }
};

// Over all questions, and the mean over subjects that have any.
double micro_average(std::span<const MmluScore> scores);
double macro_average(std::span<const MmluScore> scores);

}  // namespace ropewalk
