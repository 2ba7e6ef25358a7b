// ledger.h — the files of a batch. What is answered is what stands in them, so that a run which was
// killed at any point goes on where it ended.
//
//   OUTPUT        a line for each answer, in the order in which they came
//   ERRORS        the same for those that failed; without it they stand in OUTPUT too
//   OUTPUT.batch  what the answers belong to, on one line; locked for as long as a run writes
//
// A line is one write(2) to the end of its file. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "core/base/descriptor.h"
#include "core/json/json.h"

namespace ropewalk::batch {

// A file that only grows, by whole lines.
class LineFile {
 public:
  // Makes it where it is missing. Readable by the owner only. Throws Error(output).
  explicit LineFile(std::filesystem::path file);

  // Cuts it to so many bytes. Throws Error(output).
  void cut(uint64_t bytes);
  // Throws Error(output); then nothing of the line stays in the file.
  void add(std::string_view line);
  void sync();  // what was added survives a power cut
  const std::filesystem::path& path() const { return file_; }

 private:
  const std::filesystem::path file_;
  Descriptor fd_;
};

// Says what the answers of a batch belong to, and locks them. Empty where none was written yet.
class SideFile {
 public:
  // Throws Error: usage where another process has the lock, output.
  explicit SideFile(std::filesystem::path file);

  Json read() const;               // an object; null where there is none
  void write(const Json& object);  // at once on the disk

 private:
  const std::filesystem::path file_;
  Descriptor fd_;
};

struct LedgerFiles {
  std::filesystem::path output;
  std::optional<std::filesystem::path> errors = {};
};

enum class FailedLines { keep, ask_again };

class Ledger {
 public:
  // Takes the lock, cuts off an unfinished last line and reads what is answered. `questions` says
  // what the answers belong to: the digest of the input, the shard. Throws Error(usage): another
  // run has the lock, the files belong to other questions, or are not a batch's.
  Ledger(const LedgerFiles& files, const Json& questions, FailedLines failed);

  bool has(const std::string& custom_id) const { return known_.contains(custom_id); }
  uint64_t lines() const { return lines_; }    // in all
  uint64_t failed() const { return failed_; }  // of them

  // What answers: model, samplers, device. Throws Error(usage) where earlier answers are another's.
  // REQUIRES: comes before the first add().
  void bind(const std::string& answerer);
  // A line of result_line(). About every five seconds it waits until all is on the disk.
  void add(std::string_view line, int status);
  void sync();

 private:
  bool has_answers() const;
  void check_identity();
  void drop_failed(const std::filesystem::path& file);
  void read(LineFile& file);

  const LedgerFiles files_;
  Json identity_;
  std::optional<SideFile> side_;
  std::optional<std::string> answerer_;  // of what stands in the files
  std::optional<LineFile> output_, errors_;
  std::unordered_set<std::string> known_;  // custom_ids that were answered before this run
  uint64_t lines_ = 0, failed_ = 0;
  std::chrono::steady_clock::time_point synced_ = std::chrono::steady_clock::now();
};

}  // namespace ropewalk::batch
