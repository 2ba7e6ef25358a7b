#include "core/adapter/run_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/adapter/base_fit.h"
#include "core/adapter/merged_checkpoint.h"
#include "core/adapter/output_vectors.h"
#include "core/base/log.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

class FolderAdapter final : public AdapterSource {
 public:
  // `base` is that whose rows a DoRA stretches.
  FolderAdapter(std::unique_ptr<Adapter> adapter, double scale, const Checkpoint& base)
      : adapter_(std::move(adapter)), scale_(scale), vectors_(output_vectors(*adapter_, base)) {}

  std::vector<std::string> modules() const override {
    std::set<std::string> names;
    for (const LowRank& pair : adapter_->low_ranks()) names.insert(pair.module);
    for (const auto& [module, vectors] : vectors_) names.insert(module);
    return {names.begin(), names.end()};
  }

  std::vector<std::string> modules_with_vectors() const override {
    std::vector<std::string> names;
    for (const auto& [module, vectors] : vectors_) names.push_back(module);
    return names;
  }

  uint32_t max_rank() const override {
    uint32_t rank = 0;
    for (const LowRank& pair : adapter_->low_ranks()) rank = std::max(rank, pair.rank);
    return rank;
  }

  std::optional<LowRankMatrices> read(std::string_view module) const override {
    const auto pair = std::ranges::find(adapter_->low_ranks(), module, &LowRank::module);
    const auto vectors = vectors_.find(module);
    const bool low_rank = pair != adapter_->low_ranks().end();
    if (!low_rank && vectors == vectors_.end()) return std::nullopt;
    LowRankMatrices matrices;
    if (vectors != vectors_.end()) {
      matrices.gain = vectors->second.gain;
      matrices.shift = vectors->second.shift;
    }
    if (low_rank) read_pair(*pair, matrices);
    return matrices;
  }

 private:
  // B with the scale in it, and with the factors of a DoRA's rows.
  void read_pair(const LowRank& pair, LowRankMatrices& matrices) const {
    matrices.rank = pair.rank;
    matrices.rows = static_cast<uint32_t>(pair.cols);
    matrices.cols = static_cast<uint32_t>(pair.rows);
    matrices.a = adapter_->read(*pair.a, 0, pair.rank);
    matrices.b = adapter_->read(*pair.b, 0, pair.rows);
    const auto scale = static_cast<float>(pair.scale * scale_);
    for (size_t i = 0; i < matrices.b.size(); ++i) {
      matrices.b[i] *= scale;
      if (pair.magnitude && !matrices.gain.empty())
        matrices.b[i] *= 1 + matrices.gain[i / pair.rank];
    }
  }

  const std::unique_ptr<Adapter> adapter_;
  const double scale_;
  const std::map<std::string, OutputVectors, std::less<>> vectors_;
};

}  // namespace

std::string run_time_refusal(const Adapter& adapter) {
  for (const Replacement& replacement : adapter.replacements())
    if (!replacement.name.ends_with(".bias"))
      return fmt::format("brings {} whole", replacement.name);
  if (!adapter.token_rows().empty())
    return fmt::format("brings rows of {}", adapter.token_rows().front().module);
  for (const LowRank& pair : adapter.low_ranks())
    if (pair.table) return fmt::format("changes the table {}", pair.module);
  return "";
}

void check_for_run(const Adapter& adapter, double scale, const Checkpoint& base,
                   const Checkpoint* unquantised) {
  check_fit(adapter, base);
  if (unquantised && unquantised->quantization())
    refuse(unquantised->directory().string(), "is quantised, expected the f16, bf16 or f32 model",
           "Name the model that the running one was quantised from, or none");
  if (unquantised) check_fit(adapter, *unquantised);
  if (const std::string refusal = run_time_refusal(adapter); !refusal.empty())
    refuse(adapter.directory().string(),
           refusal + "; a running model takes changes of linear layers and of their biases",
           base.quantization() ? "Merge it into the unquantised model with `ropewalk adapter "
                                 "merge`, then quantise the result with `ropewalk quantize`"
                               : "Merge it with `ropewalk adapter merge`");
  check_choice({{&adapter, scale}});
  for (const std::string& doubt : doubts_of(adapter, unquantised ? unquantised : &base, {}))
    warn(doubt);
}

std::shared_ptr<const AdapterSource> open_for_run(const std::filesystem::path& folder, double scale,
                                                  const Checkpoint& base,
                                                  const Checkpoint* unquantised) {
  auto adapter = std::make_unique<Adapter>(folder);
  check_for_run(*adapter, scale, base, unquantised);
  return std::make_shared<FolderAdapter>(std::move(adapter), scale,
                                         unquantised ? *unquantised : base);
}

}  // namespace ropewalk
