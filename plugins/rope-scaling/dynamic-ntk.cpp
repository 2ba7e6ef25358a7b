// Dynamic NTK: unscaled up to the trained length M; beyond it the base grows with the length L of
// the sequence.
//
//   inv_freq[i] = (theta * (factor * L / M - (factor - 1)) ^ (d / (d - 2))) ^ (-2i / d),  L >= M
#include <algorithm>
#include <array>
#include <cmath>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "factor",
               .type = OptionType::number,
               .default_value = nullptr,
               .help = "how fast the base grows beyond the trained length",
               .minimum = 1e-3,
               .maximum = 1e6},
    OptionInfo{.name = "original_max_position_embeddings",
               .type = OptionType::integer,
               .default_value = nullptr,
               .help = "the trained length in tokens; absent: the model's max_position_embeddings",
               .minimum = 1,
               .maximum = 1 << 24},
};

class DynamicNtk final : public RopeScaling {
 public:
  explicit DynamicNtk(const Options& options)
      : factor_(options.number("factor")),
        trained_(options.has(kOptions[1].name)
                     ? static_cast<double>(options.integer(kOptions[1].name))
                     : 0) {}

  bool varies_with_length() const noexcept override { return true; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    const double d = request.head_dim;
    const double trained = trained_ > 0 ? trained_ : request.max_position;
    const double length = std::max<double>(request.length, trained);
    const double growth = factor_ * length / trained - (factor_ - 1);
    const double theta = request.theta * std::pow(growth, d / (d - 2));
    for (size_t i = 0; i < table.inv_freq.size(); ++i)
      table.inv_freq[i] = std::pow(theta, -2.0 * static_cast<double>(i) / d);
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  double factor_, trained_;
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, DynamicNtk>({
    .name = "dynamic-ntk",
    .version = "1.0.0",
    .help = "NTK-aware scaling that grows with the sequence beyond the trained length",
    .source = "huggingface/transformers modeling_rope_utils.py _compute_dynamic_ntk_parameters",
    .options = kOptions,
});
