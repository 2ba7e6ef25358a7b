#include "core/batch/merge.h"

#include <fmt/format.h>

#include <fstream>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/error.h"
#include "core/base/new_file.h"
#include "core/batch/batch_input.h"
#include "core/batch/jsonl_file.h"
#include "core/batch/result_line.h"

namespace ropewalk::batch {
namespace {

namespace fs = std::filesystem;

// Where an answer stands.
struct Place {
  size_t part = 0;
  uint64_t offset = 0;
  size_t bytes = 0;  // without the line's end; 0: nowhere yet
};

struct Asked {
  std::string custom_id;
  uint64_t line;  // of the input
  Place answer = {};
};

class MergedParts {
 public:
  MergedParts(const fs::path& input, std::span<const fs::path> parts)
      : input_(input), parts_(parts) {
    JsonlFile lines(input);
    for (std::string line; lines.next(line);) {
      std::string id = parse_question(line, lines.where()).custom_id;
      if (!by_id_.emplace(id, questions_.size()).second)
        throw Error(ExitCode::usage, lines.where(),
                    fmt::format("found custom_id {} again, expected each once", printable(id)),
                    "Give each line a name of its own");
      questions_.push_back({.custom_id = std::move(id), .line = lines.number()});
    }
  }

  void find_answers() {
    for (size_t part = 0; part < parts_.size(); ++part) {
      JsonlFile lines(parts_[part]);
      for (std::string line; lines.next(line);) {
        if (lines.is_cut())
          throw Error(ExitCode::usage, lines.where(), "is unfinished",
                      "Run its batch again: it answers what is missing");
        place(read_result(line, lines.where()), lines, {part, lines.offset(), line.size()});
      }
    }
  }

  void check_complete() const {
    uint64_t missing = 0;
    const Asked* first = nullptr;
    for (const Asked& question : questions_) {
      if (question.answer.bytes > 0) continue;
      ++missing;
      if (!first) first = &question;
    }
    if (!first) return;
    throw Error(ExitCode::usage, input_.string(),
                fmt::format("{} of {} lines have no answer, the first is line {}, {}", missing,
                            questions_.size(), first->line, printable(first->custom_id)),
                "Name the outputs of all shards, or run the one that lacks it again");
  }

  void write(const fs::path& output) const {
    std::vector<std::ifstream> files;
    for (const fs::path& part : parts_) files.emplace_back(part, std::ios::binary);
    NewFile made(output);
    std::string line;
    for (const Asked& question : questions_) {
      const Place& place = question.answer;
      line.resize(place.bytes);
      files[place.part].seekg(static_cast<std::streamoff>(place.offset));
      if (!files[place.part].read(line.data(), static_cast<std::streamsize>(place.bytes)))
        throw Error(ExitCode::usage, parts_[place.part].string(), "has changed while it was read",
                    "Wait for the end of its batch");
      made.write(line + "\n");
    }
    made.commit();
  }

  Merged merged() const { return {questions_.size(), failed_}; }

 private:
  void place(const Result& result, const JsonlFile& lines, const Place& place) {
    const auto found = by_id_.find(result.custom_id);
    if (found == by_id_.end())
      throw Error(ExitCode::usage, lines.where(),
                  fmt::format("answers {}, which {} does not ask", printable(result.custom_id),
                              input_.string()),
                  "Name the --input that it belongs to");
    Place& answer = questions_[found->second].answer;
    if (answer.bytes > 0)
      throw Error(ExitCode::usage, lines.where(),
                  fmt::format("answers {} a second time, after {}", printable(result.custom_id),
                              parts_[answer.part].string()),
                  "Name each output once, and only those of one run with one number of shards");
    answer = place;
    if (result.failed()) ++failed_;
  }

  const fs::path& input_;
  const std::span<const fs::path> parts_;
  std::vector<Asked> questions_;  // in the input's order
  std::unordered_map<std::string, size_t> by_id_;
  uint64_t failed_ = 0;
};

}  // namespace

Merged merge(const fs::path& input, std::span<const fs::path> parts, const fs::path& output) {
  MergedParts made(input, parts);
  made.find_answers();
  made.check_complete();
  made.write(output);
  return made.merged();
}

}  // namespace ropewalk::batch
