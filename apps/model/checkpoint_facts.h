// checkpoint_facts.h — facts about a checkpoint's tensors, for `inspect`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/weights/zero_points.h"

namespace ropewalk {

// The quantised layers. Where they differ: the largest value, and `mixed`.
struct QuantFacts {
  uint8_t bits = 0;
  uint32_t group_size = 0;  // rows of a group; a single group has the rows of its layer
  bool one_group = false;   // group_size -1
  bool act_order = false;   // some layer's rows are not in order of their groups
  bool symmetric = true;    // every zero point is the middle of the codes
  bool mixed = false;
  uint32_t layers = 0;  // linear layers that are quantised
  ZeroPoints zero_points = ZeroPoints::v1;
};

struct CheckpointFacts {
  std::optional<QuantFacts> quantization;  // absent: all layers are dense
  uint64_t parameters = 0;
  uint64_t bytes = 0;                     // of all tensors, as stored
  std::vector<const TensorInfo*> unread;  // tensors that the model does not read
};

// Checks every layer's shape on the way; warns of unread tensors. Throws Error (exit code model).
CheckpointFacts gather_facts(const Checkpoint& checkpoint);

struct TensorFault {
  const TensorInfo* tensor;
  uint64_t count;
  uint64_t first;
};

struct Verification {
  uint64_t tensors = 0;
  std::vector<TensorFault> non_finite;
  std::vector<TensorFault> zero_scales;  // allowed: such a group's weights are zero
};

// Reads every tensor, one at a time. Throws Error (exit code model) where one cannot be read.
Verification verify_tensors(const Checkpoint& checkpoint,
                            const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace ropewalk
