// quantized_output.h — the tensors of the quantised model in the making: written in place, and read
// back by the ordinary reader while the rest is still to come.
//
// Not thread-safe but for what a checkpoint of written() reads. Throws Error: model for values of
// the base that are not finite or do not fit f16, output where writing fails.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/checkpoint/formats/safetensors_writer.h"
#include "core/quantize/pack.h"

namespace ropewalk {

class QuantizedOutput {
 public:
  // `linears` are the layers that become packed. REQUIRES: base and folder outlive this.
  QuantizedOutput(const Checkpoint& base, const std::set<std::string>& linears,
                  const quantize::Settings& settings, uint64_t shard_bytes, OutputFolder& folder);

  // Tables, head, norms and biases, as f16.
  void copy_others() const;
  // Returns a checksum of the four tensors.
  std::string write(const std::string& linear, const quantize::PackedMatrix& packed) const;
  void flush() const { writer_->flush(); }
  // Of what the file holds.
  std::string checksum(const std::string& linear) const;

  // These layers as a checkpoint. REQUIRES: they have been written; this outlives it.
  std::unique_ptr<Checkpoint> written(const std::set<std::string>& linears) const;

  uint64_t bytes() const;

 private:
  const Checkpoint& base_;
  QuantConfig quant_;
  std::unique_ptr<SafetensorsWriter> writer_;
  std::map<std::string, size_t, std::less<>> index_;  // of the writer's tensors
  std::vector<std::string> others_;
};

}  // namespace ropewalk
