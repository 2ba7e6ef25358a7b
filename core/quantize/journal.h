// journal.h — what a run has finished, on the disk, so that the same command can go on after any
// end.
//
//   {"entry":{"fingerprint":{...}},"check":"8f3a..."}     the first line: what the run depends on
//   {"entry":{...},"check":"..."}                          a line for each finished piece of work
//
// A line is written and flushed as one; one that was cut short by a crash is dropped, one that has
// changed is an error. Holds a lock on the file: two runs cannot share it. Not thread-safe.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/base/descriptor.h"
#include "core/json/json.h"

namespace ropewalk::quantize {

enum class Start : uint8_t { resume, anew };

class Journal {
 public:
  // Begins a journal, or goes on with one of the same fingerprint; Start::anew forgets what is in
  // the file. Throws Error: usage where
  // another fingerprint is in the file (naming its first field that differs) or another run holds
  // it, model where the file is damaged, output where it cannot be written.
  Journal(const std::filesystem::path& file, const Json& fingerprint, Start start);

  std::span<const Json> entries() const { return entries_; }  // but the fingerprint

  // On the disk when it returns. Throws Error (output).
  void append(const Json& entry);

 private:
  void read(const Json& fingerprint);
  void write(const Json& entry);

  std::string path_;
  Descriptor fd_;
  std::vector<Json> entries_;
};

}  // namespace ropewalk::quantize
