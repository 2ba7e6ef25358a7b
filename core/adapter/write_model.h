// write_model.h — a model directory from a checkpoint, tensor by tensor.
#pragma once

#include <cstdint>
#include <functional>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/formats/output_folder.h"

namespace ropewalk {

struct WriteSettings {
  uint64_t shard_bytes;
  uint32_t threads;
  // Bytes written; called by one thread at a time, may throw to cancel.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

// Reads every tensor and writes it into `model.safetensors` of the folder, or into shards. A few
// MiB a thread are in memory at a time. The bytes do not depend on the number of threads. Throws
// what the checkpoint and the folder throw; the folder is not committed.
void write_tensors(const Checkpoint& model, OutputFolder& folder, const WriteSettings& settings);

}  // namespace ropewalk
