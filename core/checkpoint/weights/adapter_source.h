// adapter_source.h — an adapter's low-rank matrices and vectors, wherever they come from: a PEFT
// folder, or random numbers of a benchmark.
//
// Immutable; used from the thread that runs steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// A linear layer y = W x + bias, with W (cols, rows) as nn.Linear holds it, becomes
// y + (gain y + shift) + B A x.
struct LowRankMatrices {
  uint32_t rank = 0;                         // 0: only gain and shift change the layer
  uint32_t rows = 0;                         // inputs of the layer
  uint32_t cols = 0;                         // outputs
  std::vector<float> a = {};                 // (rank, rows)
  std::vector<float> b = {};                 // (cols, rank), with the adapter's scale in it
  std::vector<float> gain = {}, shift = {};  // (cols); both empty: neither
};

class AdapterSource {
 public:
  virtual ~AdapterSource() = default;

  // The layers that it changes, by the names of their weights without ".weight".
  virtual std::vector<std::string> modules() const = 0;
  virtual uint32_t max_rank() const = 0;
  // Those of the layers that have a gain and a shift.
  virtual std::vector<std::string> modules_with_vectors() const = 0;
  // nullopt: it leaves the layer alone. Throws Error (model) where values are not finite.
  virtual std::optional<LowRankMatrices> read(std::string_view module) const = 0;
};

}  // namespace ropewalk
