// mmlu.cpp — `ropewalk mmlu CONFIG --data DIR`: multiple choice questions by subject, scored by
// the log-probability of " A" to " D" after the prompt.
#include "core/eval/mmlu.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "apps/evaluation/dataset_input.h"
#include "apps/evaluation/evaluation_commands.h"
#include "apps/input.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/signals.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/nearest.h"
#include "core/eval/continuation.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = "_test.csv";

struct MmluSubject {
  std::string name;
  std::vector<MmluQuestion> shots, questions;
};

std::vector<std::string> subject_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(kEnding)) names.push_back(name.substr(0, name.size() - kEnding.size()));
  }
  if (names.empty())
    throw Error(ExitCode::usage, folder.string(), "found no file SUBJECT_test.csv in it",
                "Give --data the folder that has dev and test in it");
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> chosen_names(const MmluArguments& arguments, const fs::path& folder) {
  const std::vector<std::string> known = subject_names(folder);
  if (arguments.subjects.empty()) return known;
  for (const std::string& name : arguments.subjects) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw Error(ExitCode::usage, "command line", fmt::format("unknown subject {}", printable(name)),
                suggestion(name, known));
  }
  return arguments.subjects;
}

std::vector<MmluQuestion> read_questions(const fs::path& file) {
  return parse_mmlu(read_input(file.string()), file.string());
}

std::vector<MmluSubject> read_subjects(const MmluArguments& arguments) {
  const fs::path data = arguments.data;
  std::vector<MmluSubject> subjects;
  for (const std::string& name : chosen_names(arguments, data / "test")) {
    MmluSubject subject{name, {}, read_questions(data / "test" / (name + std::string(kEnding)))};
    const fs::path dev = data / "dev" / (name + "_dev.csv");
    if (arguments.shots > 0) subject.shots = read_questions(dev);
    if (subject.shots.size() < arguments.shots)
      throw Error(ExitCode::usage, dev.string(),
                  fmt::format("found {} questions, expected the {} of --shots",
                              subject.shots.size(), arguments.shots),
                  "Ask for fewer shots");
    subject.shots.resize(arguments.shots);
    if (arguments.questions && subject.questions.size() > *arguments.questions)
      subject.questions.resize(*arguments.questions);
    subjects.push_back(std::move(subject));
  }
  return subjects;
}

// One run over all subjects; scores() may be called at any time.
class Exam {
 public:
  Exam(MmluForm form, bool bos, const Tokenizer& tokenizer, Runtime& runtime)
      : form_(form), bos_(bos), tokenizer_(tokenizer), runtime_(runtime), scorer_(runtime) {}

  void begin(const MmluSubject& subject) {
    scores_.emplace_back();
    scores_.back().subject = subject.name;
  }

  void ask(const MmluSubject& subject, const MmluQuestion& question) {
    MmluScore& score = scores_.back();
    size_t shots = subject.shots.size();
    std::array<std::vector<int32_t>, 4> candidates;
    uint32_t prompt = 0;
    for (;; --shots) {
      prompt = tokenise(subject, question, shots, candidates);
      const bool fits = std::all_of(candidates.begin(), candidates.end(), [&](const auto& ids) {
        return ids.size() <= runtime_.context_length();
      });
      if (fits || shots == 0) break;  // without shots, the scorer refuses a prompt that is too long
    }
    std::array<double, 4> logprobs{};
    for (size_t i = 0; i < candidates.size(); ++i)
      logprobs[i] = scorer_.score(candidates[i], prompt);
    const auto best = static_cast<uint32_t>(std::max_element(logprobs.begin(), logprobs.end()) -
                                            logprobs.begin());
    details_.push_back({{"subject", subject.name},
                        {"question", score.questions},
                        {"scores", logprobs},
                        {"choice", std::string(1, static_cast<char>('A' + best))},
                        {"answer", std::string(1, static_cast<char>('A' + question.answer))},
                        {"shots", shots}});
    ++score.questions;
    score.correct += best == question.answer;
    score.shortened += shots < subject.shots.size();
  }

  const std::vector<MmluScore>& scores() const { return scores_; }
  const Json& details() const { return details_; }

 private:
  // Ids of the prompt with each answer. Returns the prompt's own length in tokens; the answer's are
  // what follows, as lm-evaluation-harness splits them.
  uint32_t tokenise(const MmluSubject& subject, const MmluQuestion& question, size_t shots,
                    std::array<std::vector<int32_t>, 4>& candidates) const {
    const std::string prompt =
        mmlu_prompt(form_, subject.name, std::span(subject.shots).first(shots), question);
    for (size_t i = 0; i < candidates.size(); ++i)
      candidates[i] = ids_of(prompt + " " + static_cast<char>('A' + i));
    return static_cast<uint32_t>(ids_of(prompt).size());
  }

  std::vector<int32_t> ids_of(const std::string& text) const {
    std::vector<int32_t> ids = tokenizer_.encode_text(text, SpecialTokens::as_text);
    if (bos_) ids.insert(ids.begin(), tokenizer_.bos_id());
    return ids;
  }

  MmluForm form_;
  bool bos_;
  const Tokenizer& tokenizer_;
  Runtime& runtime_;
  ContinuationScorer scorer_;
  std::vector<MmluScore> scores_;
  Json details_ = Json::array();
};

MmluForm form_of(const std::string& name) {
  if (const auto form = mmlu_form_named(name)) return *form;
  const std::vector<std::string> known = {"hendrycks", "lm-eval"};
  throw Error(ExitCode::usage, "command line", fmt::format("unknown form {}", printable(name)),
              suggestion(name, known));
}

void run_exam(Exam& exam, const std::vector<MmluSubject>& subjects, Progress& line) {
  size_t done = 0, total = 0;
  for (const MmluSubject& subject : subjects) total += subject.questions.size();
  for (const MmluSubject& subject : subjects) {
    exam.begin(subject);
    for (const MmluQuestion& question : subject.questions) {
      throw_if_stopped();
      exam.ask(subject, question);
      line.show(
          static_cast<double>(++done) / static_cast<double>(total),
          fmt::format("{}  {:.1f} % right", subject.name, 100 * micro_average(exam.scores())));
    }
  }
}

Json exam_json(const Exam& exam, const MmluArguments& arguments, bool bos, const Json& run) {
  Json answer = {{"form", arguments.form}, {"shots", arguments.shots}, {"bos", bos}};
  answer.update(run);
  answer["subjects"] = Json::array();
  for (const MmluScore& score : exam.scores())
    answer["subjects"].push_back({{"subject", score.subject},
                                  {"questions", score.questions},
                                  {"correct", score.correct},
                                  {"accuracy", score.accuracy()},
                                  {"fewer_shots", score.shortened}});
  answer["micro"] = micro_average(exam.scores());
  answer["macro"] = macro_average(exam.scores());
  if (arguments.details) answer["questions"] = exam.details();
  return answer;
}

std::string exam_text(const Exam& exam) {
  std::string text;
  for (const MmluScore& score : exam.scores())
    text += fmt::format("{:<40} {:>5} of {:>5}  {:>5.1f} %\n", score.subject, score.correct,
                        score.questions, 100 * score.accuracy());
  return text + fmt::format("{:<40} {:>23.1f} %\n{:<40} {:>23.1f} %\n", "all questions (micro)",
                            100 * micro_average(exam.scores()), "mean of subjects (macro)",
                            100 * macro_average(exam.scores()));
}

void note_shortened(const Exam& exam) {
  uint32_t shortened = 0;
  for (const MmluScore& score : exam.scores()) shortened += score.shortened;
  if (shortened > 0)
    note(fmt::format("{} questions were asked with fewer shots: the context holds no more",
                     shortened));
}

}  // namespace

int mmlu(const MmluArguments& arguments) {
  const MmluForm form = form_of(arguments.form);
  const Config config = open_config(arguments.common);
  const std::vector<MmluSubject> subjects = read_subjects(arguments);
  const Tokenizer tokenizer = open_tokenizer(config);
  const bool bos = tokenizer.add_bos() && !arguments.no_bos;
  RuntimeSettings settings;
  settings.config = config;
  OpenModel model = open_checkpoint(arguments.common, settings);

  const StopRequest stop;
  Exam exam(form, bos, tokenizer, model.runtime);
  try {
    Progress line("mmlu", progress_for(arguments.common));
    run_exam(exam, subjects, line);
  } catch (const Stopped&) {
    // Prints the scores so far.
  }
  if (arguments.common.json) {
    Json answer = exam_json(exam, arguments, bos, run_json(config, model.runtime));
    answer["interrupted"] = stop.signal() != 0;
    print_json(answer);
  } else {
    print(exam_text(exam));
  }
  note_shortened(exam);
  return stop.signal() == 0 ? 0 : 128 + stop.signal();
}

}  // namespace ropewalk
