#include "core/adapter/run_time.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/adapter/base_fit.h"
#include "core/base/log.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

class FolderAdapter final : public AdapterSource {
 public:
  FolderAdapter(std::unique_ptr<Adapter> adapter, double scale)
      : adapter_(std::move(adapter)), scale_(scale) {}

  std::vector<std::string> modules() const override {
    std::vector<std::string> names;
    for (const LowRank& pair : adapter_->low_ranks()) names.push_back(pair.module);
    return names;
  }

  uint32_t max_rank() const override {
    uint32_t rank = 0;
    for (const LowRank& pair : adapter_->low_ranks()) rank = std::max(rank, pair.rank);
    return rank;
  }

  std::optional<LowRankMatrices> read(std::string_view module) const override {
    const auto pair = std::ranges::find(adapter_->low_ranks(), module, &LowRank::module);
    if (pair == adapter_->low_ranks().end()) return std::nullopt;
    LowRankMatrices matrices{.rank = pair->rank,
                             .rows = static_cast<uint32_t>(pair->cols),
                             .cols = static_cast<uint32_t>(pair->rows),
                             .a = adapter_->read(*pair->a, 0, pair->rank),
                             .b = adapter_->read(*pair->b, 0, pair->rows)};
    const auto scale = static_cast<float>(pair->scale * scale_);
    for (float& value : matrices.b) value *= scale;
    return matrices;
  }

 private:
  const std::unique_ptr<Adapter> adapter_;
  const double scale_;
};

}  // namespace

std::string run_time_refusal(const Adapter& adapter) {
  if (adapter.config().dora) return "is a DoRA, which stretches the base's weights";
  if (!adapter.replacements().empty())
    return fmt::format("brings {} whole", adapter.replacements().front().name);
  if (!adapter.token_rows().empty())
    return fmt::format("brings rows of {}", adapter.token_rows().front().module);
  for (const LowRank& pair : adapter.low_ranks()) {
    if (pair.table) return fmt::format("changes the table {}", pair.module);
    if (pair.bias) return fmt::format("changes the bias of {}", pair.module);
  }
  return "";
}

std::shared_ptr<const AdapterSource> open_for_run(const std::filesystem::path& folder, double scale,
                                                  const Checkpoint& base) {
  auto adapter = std::make_unique<Adapter>(folder);
  check_fit(*adapter, base);
  if (const std::string refusal = run_time_refusal(*adapter); !refusal.empty())
    refuse(folder.string(), refusal + "; a running model takes low-rank changes of linear layers",
           "Merge it with `ropewalk adapter merge`");
  for (const std::string& doubt : doubts_of(*adapter, &base, {})) warn(doubt);
  return std::make_shared<FolderAdapter>(std::move(adapter), scale);
}

}  // namespace ropewalk
