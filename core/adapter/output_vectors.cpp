#include "core/adapter/output_vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <thread>

#include "core/adapter/base_fit.h"
#include "core/adapter/low_rank.h"
#include "core/base/parallel.h"
#include "core/checkpoint/refuse.h"
#include "core/checkpoint/weights/checkpoint_weights.h"
#include "core/checkpoint/weights/finite.h"
#include "core/checkpoint/weights/read_floats.h"

namespace ropewalk {
namespace {

constexpr uint64_t kPieceValues = 4 << 20;  // of a weight at a time: 16 MiB of floats
constexpr uint32_t kThreads = 4;
constexpr std::string_view kBias = ".bias";

// Some rows of a weight under a DoRA.
struct StretchedRows {
  const LowRank* pair;
  const WeightInfo* weight;
  std::span<float> gain;
  uint32_t first, rows;
};

double length_of(std::span<const float> values) {
  double squares = 0;
  for (const float value : values)
    squares += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(squares);
}

void fill_gain(const Adapter& adapter, const WeightSource& base, const StretchedRows& piece) {
  const LowRank& pair = *piece.pair;
  std::vector<float> values = read_floats(base, *piece.weight, piece.first, piece.rows);
  add_product(load_factors(adapter, pair, piece.first, piece.rows), static_cast<float>(pair.scale),
              values);
  const std::vector<float> magnitude = adapter.read(*pair.magnitude, piece.first, piece.rows);
  for (uint32_t row = 0; row < piece.rows; ++row) {
    const double norm = length_of(std::span(values).subspan(row * pair.cols, pair.cols));
    const double factor = static_cast<double>(magnitude[row]) / norm;
    if (!std::isfinite(factor))
      refuse(adapter.place_of(*pair.magnitude),
             fmt::format("stretches row {}, whose length is {}", piece.first + row, norm),
             "Check that the base is the model that the adapter was trained on");
    piece.gain[piece.first + row] = static_cast<float>(factor - 1);
  }
}

// nullopt: the base's layer has none.
std::optional<std::vector<float>> bias_of(const Checkpoint& base, const std::string& module) {
  const TensorInfo* tensor = base.find(module + std::string(kBias));
  if (!tensor || tensor->bytes == 0) return std::nullopt;
  std::vector<std::byte> bytes(tensor->bytes);
  base.read(*tensor, bytes);
  return to_floats(tensor->type, bytes);
}

class VectorBuilder {
 public:
  VectorBuilder(const Adapter& adapter, const Checkpoint& base) : adapter_(adapter), base_(base) {}

  std::map<std::string, OutputVectors, std::less<>> build() {
    if (adapter_.config().dora) stretch();
    for (const Replacement& replacement : adapter_.replacements())
      if (replacement.name.ends_with(kBias))
        replace_bias(replacement.name.substr(0, replacement.name.size() - kBias.size()),
                     *replacement.tensor);
    for (const LowRank& pair : adapter_.low_ranks())
      if (pair.bias) add_bias(pair);
    for (auto& [module, vectors] : made_)
      if (!vectors.gain.empty()) keep_bias(module, vectors);
    // An adapter that was trained with biases has those, too, that stayed the base's.
    std::erase_if(made_, [](const auto& entry) {
      const OutputVectors& vectors = entry.second;
      return std::ranges::all_of(vectors.gain, [](float value) { return value == 0; }) &&
             std::ranges::all_of(vectors.shift, [](float value) { return value == 0; });
    });
    for (auto& [module, vectors] : made_) {
      const size_t outputs = std::max(vectors.gain.size(), vectors.shift.size());
      vectors.gain.resize(outputs);
      vectors.shift.resize(outputs);
    }
    return std::move(made_);
  }

 private:
  void stretch() {
    const CheckpointWeights weights(base_);
    std::vector<WeightInfo> infos;
    infos.reserve(adapter_.low_ranks().size());
    std::vector<StretchedRows> pieces;
    for (const LowRank& pair : adapter_.low_ranks()) {
      const auto rows = static_cast<uint32_t>(pair.rows), cols = static_cast<uint32_t>(pair.cols);
      const bool tied = pair.module == kHeadModule && base_.config().tied_embeddings;
      infos.push_back(weights.describe(tied ? kTableModule : std::string_view(pair.module),
                                       abi::WeightUse::matmul, cols, rows));
      std::vector<float>& gain = made_[pair.module].gain;
      gain.resize(rows);
      const auto parts = std::max<uint64_t>(kPieceValues / cols / abi::kPartColumns, 1);
      const auto step = static_cast<uint32_t>(parts * abi::kPartColumns);
      for (uint32_t first = 0; first < rows; first += step)
        pieces.push_back({&pair, &infos.back(), gain, first, std::min(step, rows - first)});
    }
    const uint32_t threads = std::clamp(std::thread::hardware_concurrency(), 1u, kThreads);
    parallel_for(pieces.size(), threads,
                 [&](size_t i) { fill_gain(adapter_, weights, pieces[i]); });
  }

  std::vector<float>& shift_of(const std::string& module, uint64_t outputs) {
    std::vector<float>& shift = made_[module].shift;
    shift.resize(outputs);
    return shift;
  }

  void replace_bias(const std::string& module, const TensorInfo& tensor) {
    const std::vector<float> bias = adapter_.read(tensor, 0, tensor.shape[0]);
    const std::vector<float> before =
        bias_of(base_, module).value_or(std::vector<float>(bias.size()));
    std::vector<float>& shift = shift_of(module, bias.size());
    for (size_t n = 0; n < bias.size(); ++n) shift[n] = bias[n] - before[n];
  }

  void add_bias(const LowRank& pair) {
    const std::vector<float> bias = adapter_.read(*pair.bias, 0, pair.rows);
    std::vector<float>& shift = shift_of(pair.module, pair.rows);
    for (size_t n = 0; n < bias.size(); ++n) shift[n] += static_cast<float>(pair.scale) * bias[n];
  }

  // The gain is that of W x alone, and y has the base's bias in it.
  void keep_bias(const std::string& module, OutputVectors& vectors) {
    const std::optional<std::vector<float>> bias = bias_of(base_, module);
    if (!bias) return;
    vectors.shift.resize(bias->size());
    for (size_t n = 0; n < bias->size(); ++n) vectors.shift[n] -= vectors.gain[n] * (*bias)[n];
  }

  const Adapter& adapter_;
  const Checkpoint& base_;
  std::map<std::string, OutputVectors, std::less<>> made_;
};

}  // namespace

std::map<std::string, OutputVectors, std::less<>> output_vectors(const Adapter& adapter,
                                                                 const Checkpoint& base) {
  return VectorBuilder(adapter, base).build();
}

}  // namespace ropewalk
