#include "core/eval/mmlu.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/eval/csv.h"

namespace ropewalk {
namespace {

constexpr std::string_view kLetters = "ABCD";

std::string with_spaces(std::string_view subject) {
  std::string text(subject);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

// As Python's str.strip() for the ASCII white space that these files have.
std::string_view stripped(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string asked(MmluForm form, const MmluQuestion& question) {
  std::string text(form == MmluForm::lm_eval ? stripped(question.text) : question.text);
  for (size_t i = 0; i < question.choices.size(); ++i)
    text += fmt::format("\n{}. {}", kLetters[i], question.choices[i]);
  return text + "\nAnswer:";
}

}  // namespace

std::vector<MmluQuestion> parse_mmlu(std::string_view csv, const std::string& file) {
  std::vector<MmluQuestion> questions;
  for (CsvRow& row : parse_csv(csv, file)) {
    const std::string where = fmt::format("{}:{}", file, row.line);
    if (row.cells.size() != 6)
      throw Error(ExitCode::usage, where,
                  fmt::format("found {} cells, expected a question, four choices and a letter",
                              row.cells.size()),
                  "");
    const std::string& letter = row.cells[5];
    const size_t answer = letter.size() == 1 ? kLetters.find(letter[0]) : std::string::npos;
    if (answer == std::string::npos)
      throw Error(ExitCode::usage, where,
                  fmt::format("found the answer {}, expected A, B, C or D", printable(letter)), "");
    MmluQuestion question{std::move(row.cells[0]), {}, static_cast<uint32_t>(answer)};
    std::move(row.cells.begin() + 1, row.cells.begin() + 5, question.choices.begin());
    questions.push_back(std::move(question));
  }
  return questions;
}

std::optional<MmluForm> mmlu_form_named(std::string_view name) {
  if (name == "hendrycks") return MmluForm::hendrycks;
  if (name == "lm-eval") return MmluForm::lm_eval;
  return std::nullopt;
}

std::string mmlu_prompt(MmluForm form, std::string_view subject,
                        std::span<const MmluQuestion> shots, const MmluQuestion& question) {
  std::string text =
      fmt::format("The following are multiple choice questions (with answers) about {}{}.\n\n",
                  form == MmluForm::hendrycks ? " " : "", with_spaces(subject));
  for (const MmluQuestion& shot : shots)
    text += fmt::format("{} {}\n\n", asked(form, shot), kLetters[shot.answer]);
  return text + asked(form, question);
}

double micro_average(std::span<const MmluScore> scores) {
  MmluScore all;
  for (const MmluScore& score : scores) {
    all.questions += score.questions;
    all.correct += score.correct;
  }
  return all.accuracy();
}

double macro_average(std::span<const MmluScore> scores) {
  double sum = 0;
  size_t subjects = 0;
  for (const MmluScore& score : scores) {
    if (score.questions == 0) continue;
    sum += score.accuracy();
    ++subjects;
  }
  return subjects ? sum / static_cast<double>(subjects) : 0;
}

}  // namespace ropewalk
