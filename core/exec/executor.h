// executor.h — runs steps of a loaded model in the programs of buckets.h. warm_up() compiles them
// all; otherwise each is compiled when a step first needs it.
//
// Any mix of prompt chunks and single-token decodes of several sequences is one step. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "core/abi/backend.h"
#include "core/abi/largest_logits.h"
#include "core/base/error.h"
#include "core/exec/buckets.h"
#include "core/exec/kv_cache.h"
#include "core/exec/step_trace.h"
#include "core/graph/check_step.h"
#include "core/load/adapter_pool.h"
#include "core/load/loaded_model.h"
#include "core/model/rope_tables.h"
#include "core/modules/library.h"

namespace ropewalk {

// Rows whose logits are read. `largest`: of the last row only which logit is the largest, where the
// device finds that itself; otherwise as `last`.
enum class Wanted { none, last, all, largest };

// Ids that a reply may have: those below `end` that are not banned.
struct AllowedIds {
  uint32_t end = 0;
  std::span<const int32_t> banned = {};

  bool contain(int32_t id) const;
};

// Tokens that one sequence contributes to a step.
struct Chunk {
  Sequence* sequence;
  std::span<const int32_t> tokens;
  Wanted wanted;
  // Tokens of the sequence once the whole prompt has run. RoPE policies that vary with the length
  // get this length, so that a prompt in chunks gives the same result as in one piece.
  uint32_t final_length;
  AllowedIds allowed = {};  // with Wanted::largest: another id is not what was asked for
};

// The result of a step for one chunk.
//
// The law for logits: all of a wanted row must be finite. Weights are finite, so NaN, infinity
// and -infinity all mean that a number overflowed; sampling from such a row gives fluent nonsense.
// Only a sampler may set a logit to -infinity, to forbid its token.
struct ChunkResult {
  // (wanted rows, vocab); empty where the chunk failed, or where `largest` takes their place
  std::span<const float> logits = {};
  std::optional<Error> error = {};  // non_finite: the first bad logit; the sequence is as before
  // The id of the largest logit, the lowest of equal ones; it is allowed and all logits are finite.
  std::optional<int32_t> largest = {};

  // The logits. Throws the error where there is one.
  std::span<const float> value() const;
};

struct WarmUp {
  size_t programs;  // compiled by this call
  double seconds;
};

class Executor {
 public:
  // REQUIRES: all outlive this.
  Executor(abi::Device& device, const LoadedModel& model, RopeTables& rope,
           const abi::ProgramShape& widest);

  // Runs one step. The results are in the order of the chunks and valid until the next call. A
  // chunk that fails does not change the results of the others. Throws Error where the whole step
  // fails: limit, out_of_memory (cache), device_lost; all sequences are then as before. REQUIRES:
  // the chunks' tokens together fit the widest shape; each chunk has at least one token; no two
  // chunks have the same sequence.
  std::span<const ChunkResult> run(std::span<const Chunk> chunks);

  // A step of one chunk. Returns its logits. Throws Error also for non_finite.
  std::span<const float> run_one(const Chunk& chunk);

  // Sequences may have adapters from here on: indices of the pool's. REQUIRES: the pool outlives
  // this; no step has run.
  void use_adapters(AdapterPool& adapters) { adapters_ = &adapters; }

  // Compiles every program that a step may need and that does not exist yet.
  WarmUp warm_up();

  // Every step from here on is added to the trace. REQUIRES: it outlives this; no program has been
  // compiled yet.
  void trace_to(StepTrace& trace) { trace_ = &trace; }

  uint32_t vocab_size() const { return vocab_size_; }
  uint32_t max_rows() const { return widest_.rows; }
  uint32_t max_wanted() const { return widest_.wanted; }
  // Different adapters that a step may have; 0: none.
  uint32_t adapter_slots() const { return adapters_ ? adapters_->slots() : 0; }
  uint32_t max_sequences() const { return widest_.sequences; }
  uint64_t steps_run() const { return steps_run_; }

 private:
  using Programs = std::map<abi::ProgramShape, Owned<abi::Program>,
                            bool (*)(const abi::ProgramShape&, const abi::ProgramShape&)>;

  abi::Program& program(StepKind kind, const abi::ProgramShape& shape);
  StepKind place_adapters(std::span<const Chunk> chunks);
  void gather(std::span<const Chunk> chunks);
  void add_to_step(const Chunk& chunk);
  void read_logits(StepKind kind, std::span<const Chunk> chunks);
  void judge(std::span<const Chunk> chunks);
  std::optional<int32_t> find_largest(const Chunk& chunk, size_t row) const;
  bool known_finite(size_t first_row, size_t rows) const;
  std::optional<Error> find_bad_logit(size_t first_row, std::span<const float> logits) const;

  abi::Device& device_;
  abi::LargestLogits* device_largest_ = nullptr;  // null: the device does not find them
  const LoadedModel& model_;
  RopeTables& rope_;
  abi::ProgramShape widest_;
  const StepLimits limits_, adapted_limits_;
  StepTrace* trace_ = nullptr;
  uint32_t vocab_size_;
  uint64_t steps_run_ = 0;
  Programs programs_[2];  // by StepKind
  AdapterPool* adapters_ = nullptr;

  // The step's inputs and outputs, kept to avoid an allocation per token.
  std::vector<size_t> order_;  // of the chunks in the step
  uint32_t prompt_rows_ = 0;
  std::vector<int32_t> token_;
  std::vector<uint32_t> position_, sequence_, length_, page_, wanted_;
  std::vector<uint32_t> slots_;  // (chunks in the step)
  std::vector<float> inv_freq_, logits_;
  std::vector<int32_t> largest_;  // (W) as the device found them; empty: it does not
  std::vector<ChunkResult> results_;
};

}  // namespace ropewalk
