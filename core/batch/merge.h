// merge.h — joins the outputs of a batch's shards, if together they are the whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace ropewalk::batch {

struct Merged {
  uint64_t lines = 0;
  uint64_t failed = 0;  // of them
};

// Writes a line for each of the input's, in its order, as it stands in one of `parts`: outputs and
// files of errors. Replaces `output` in one step, and only where everything is there. Throws Error:
// usage for a question without an answer or with two, an answer to no question, a damaged line;
// output.
Merged merge(const std::filesystem::path& input, std::span<const std::filesystem::path> parts,
             const std::filesystem::path& output);

}  // namespace ropewalk::batch
