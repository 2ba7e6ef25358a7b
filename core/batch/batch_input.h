// batch_input.h — the questions of a batch: lines in the form of OpenAI's Batch API.
//
//   {"custom_id":"q-1","method":"POST","url":"/v1/chat/completions","body":{...}}
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/batch/jsonl_file.h"
#include "core/json/json.h"

namespace ropewalk::batch {

struct Question {
  std::string custom_id;
  std::string method, url;  // empty where the line has none
  Json body = {};           // null where the line has none
};

// One of n processes that share a file: process i answers lines i, i + n, i + 2n, ..., counted from
// 0 without blank ones.
struct Shard {
  uint32_t index = 0, count = 1;
};
// From "i/n". Throws Error(usage).
Shard parse_shard(std::string_view text);

// A line of the input. Throws Error(usage) with `where` in front: not a JSON object, no custom_id,
// or one that is not 1 to 512 bytes.
Question parse_question(std::string_view line, const std::string& where);

// The seed of a question whose body has none: the first 64 bits of its custom_id's SHA-256. So a
// reply depends neither on its shard nor on its place in the file.
uint64_t seed_of(std::string_view custom_id);
// The body with that seed, where it has none: absent, null or -1.
Json body_with_seed(const Question& question);

struct InputFacts {
  uint64_t questions = 0;  // of the shard
  std::string digest;      // of the whole file
};
// Reads the whole file. Throws Error(usage) as parse_question() does, and for a custom_id that two
// lines have.
InputFacts check_input(const std::filesystem::path& file, const Shard& shard);

// The questions of a shard, in the file's order. Not thread-safe.
class BatchInput {
 public:
  BatchInput(const std::filesystem::path& file, const Shard& shard) : file_(file), shard_(shard) {}

  // False at the end. Throws as parse_question() does.
  bool next(Question& question);

 private:
  JsonlFile file_;
  const Shard shard_;
  std::string line_;
  uint64_t lines_ = 0;
};

}  // namespace ropewalk::batch
