// merged_checkpoint.h — a base model with adapters in it, as a checkpoint: what is read from it is
// computed then, so nothing is ever held whole.
//
//   W' = round(W + c s B A)   in f32, one rounding to the type of the result
//
// Immutable after construction; read() may be called from several threads.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

struct ScaledAdapter {
  const Adapter* adapter;
  double scale = 1;  // beside the adapter's own
};

// Throws Error (usage) for adapters that cannot be one: a DoRA beside another or scaled, whole
// tensors scaled.
void check_choice(const std::vector<ScaledAdapter>& adapters);

struct MergeSettings {
  std::vector<ScaledAdapter> adapters;
  std::optional<StoredType> type = {};  // of weights: f32, f16 or bf16; absent: the base's
};

class MergedCheckpoint final : public Checkpoint {
 public:
  // Throws Error: model for an adapter that does not fit the base and for a quantised base, usage
  // for adapters that cannot be combined (a DoRA or a whole tensor beside another, or scaled).
  // REQUIRES: the base and the adapters outlive this.
  MergedCheckpoint(const Checkpoint& base, const MergeSettings& settings);

  // Throws Error: model where the base's values are not finite, non_finite where the result's are
  // not.
  void read_from(const TensorInfo& tensor, uint64_t offset,
                 std::span<std::byte> out) const override;
  void check_unchanged() const override { base_.check_unchanged(); }

  // The adapter that brings tables of another number of rows than the base's; nullptr: none does.
  const Adapter* new_vocabulary() const;
  // Tensors that differ from the base's.
  size_t changed() const { return changes_.size(); }

 private:
  struct Term {
    const Adapter* adapter;
    const LowRank* pair;
    double scale;
  };
  // What happens to one tensor.
  struct Change {
    std::string source;  // the base's tensor; differs from the result's where tables were tied
    const Adapter* owner = nullptr;           // of the two below
    const TensorInfo* replacement = nullptr;  // takes the source's place
    const TokenRows* rows = nullptr;
    std::vector<Term> terms;   // low-rank changes of a matrix
    std::vector<Term> biases;  // vectors added to a bias
  };
  struct Block {
    uint64_t first, rows, width;  // of rows, and values in each
  };

  void add(const ScaledAdapter& scaled);
  Change& change_of(const std::string& name);
  void list_tensors(std::optional<StoredType> type);
  std::vector<float> base_values(const Change& change, const Block& block) const;
  std::vector<float> values(const Change& change, const Block& block) const;

  const Checkpoint& base_;
  std::map<std::string, Change, std::less<>> changes_;  // by the result's tensor
};

}  // namespace ropewalk
