// NTK-aware scaling: the base grows, so that the slowest pair is interpolated by alpha while the
// fastest keeps its frequency.
//
//   inv_freq[i] = (theta * alpha ^ (d / (d - 2))) ^ (-2i / d),  d = head_dim
#include <array>
#include <cmath>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "alpha",
               .type = OptionType::number,
               .default_value = nullptr,
               .help = "how much slower the slowest pair rotates; exllama's alpha_value",
               .minimum = 1e-3,
               .maximum = 1e6},
};

class Ntk final : public RopeScaling {
 public:
  explicit Ntk(const Options& options) : alpha_(options.number("alpha")) {}

  bool varies_with_length() const noexcept override { return false; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    const double d = request.head_dim;
    const double theta = request.theta * std::pow(alpha_, d / (d - 2));
    for (size_t i = 0; i < table.inv_freq.size(); ++i)
      table.inv_freq[i] = std::pow(theta, -2.0 * static_cast<double>(i) / d);
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  double alpha_;
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, Ntk>({
    .name = "ntk",
    .version = "1.0.0",
    .help = "NTK-aware scaling with a fixed alpha",
    .source = "turboderp/exllama model.py calculate_rotary_embedding_base",
    .options = kOptions,
});
