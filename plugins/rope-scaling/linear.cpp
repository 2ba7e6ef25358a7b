// Position interpolation: positions are divided by a factor, so that a longer text stays in the
// trained range. Dividing the frequencies instead gives the same angles.
//
//   inv_freq[i] = theta ^ (-2i / head_dim) / factor
#include <array>
#include <cmath>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

constexpr std::array kOptions = {
    OptionInfo{.name = "factor",
               .type = OptionType::number,
               .default_value = nullptr,
               .help = "what positions are divided by; exllama's compress_pos_emb",
               .minimum = 1e-3,
               .maximum = 1e6},
};

class Linear final : public RopeScaling {
 public:
  explicit Linear(const Options& options) : factor_(options.number("factor")) {}

  bool varies_with_length() const noexcept override { return false; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    for (size_t i = 0; i < table.inv_freq.size(); ++i)
      table.inv_freq[i] =
          std::pow(request.theta, -2.0 * static_cast<double>(i) / request.head_dim) / factor_;
    return {};
  }
  void release() noexcept override { delete this; }

 private:
  double factor_;
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, Linear>({
    .name = "linear",
    .version = "1.0.0",
    .help = "Position interpolation: positions divided by a factor",
    .source = "arXiv 2306.15595; huggingface/transformers modeling_rope_utils.py",
    .options = kOptions,
});
