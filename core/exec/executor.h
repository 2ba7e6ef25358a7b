// executor.h — runs steps of a loaded model: one program per row bucket, compiled when first
// needed.
//
// Any mix of prompt chunks and single-token decodes of several sequences is one step. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/abi/backend.h"
#include "core/exec/buckets.h"
#include "core/exec/kv_cache.h"
#include "core/graph/check_step.h"
#include "core/load/loaded_model.h"
#include "core/model/rope_tables.h"
#include "core/modules/library.h"

namespace ropewalk {

enum class Wanted { none, last, all };  // rows whose logits are read

// Tokens that one sequence contributes to a step.
struct Chunk {
  Sequence* sequence;
  std::span<const int32_t> tokens;
  Wanted wanted;
  // Tokens that the sequence will have when the whole prompt is in: the length that a RoPE policy
  // which varies with it sees, so that a prompt's chunks agree with the prompt in one piece.
  uint32_t final_length;
};

class Executor {
 public:
  // REQUIRES: all outlive this.
  Executor(abi::Device& device, const LoadedModel& model, RopeTables& rope,
           const abi::ProgramShape& widest);

  // Runs one step and returns the wanted logits, (W, vocab) row-major in order of chunks and rows,
  // valid until the next call. Throws Error: limit, out_of_memory (cache), device_lost, non_finite.
  // On failure the sequences are as before.
  // REQUIRES: tokens of all chunks together fit the widest shape, each chunk has at least one.
  std::span<const float> run(std::span<const Chunk> chunks);

  uint32_t vocab_size() const { return vocab_size_; }
  uint32_t max_rows() const { return widest_.rows; }
  uint32_t max_wanted() const { return widest_.wanted; }
  uint32_t max_sequences() const { return widest_.sequences; }
  uint64_t steps_run() const { return steps_run_; }

 private:
  abi::Program& program(uint32_t rows, uint32_t wanted, uint32_t sequences);
  void gather(std::span<const Chunk> chunks);
  void read_logits(uint32_t rows);

  abi::Device& device_;
  const LoadedModel& model_;
  RopeTables& rope_;
  abi::ProgramShape widest_;
  const StepLimits limits_;
  uint32_t vocab_size_;
  uint64_t steps_run_ = 0;
  std::map<abi::ProgramShape, Owned<abi::Program>,
           bool (*)(const abi::ProgramShape&, const abi::ProgramShape&)>
      programs_;

  // The step's inputs, kept to avoid an allocation per token.
  std::vector<int32_t> token_;
  std::vector<uint32_t> position_, sequence_, length_, page_, wanted_;
  std::vector<float> inv_freq_, logits_;
};

}  // namespace ropewalk
