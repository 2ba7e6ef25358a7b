// No scaling: the frequencies that the model was first trained with.
//
//   inv_freq[i] = theta ^ (-2i / head_dim)
#include <cmath>

#include "core/abi/rope_scaling.h"

namespace {

using namespace ropewalk::abi;

class None final : public RopeScaling {
 public:
  explicit None(const Options&) {}

  bool varies_with_length() const noexcept override { return false; }
  Status fill(const RopeRequest& request, RopeTable& table) const noexcept override {
    for (size_t i = 0; i < table.inv_freq.size(); ++i)
      table.inv_freq[i] = std::pow(request.theta, -2.0 * static_cast<double>(i) / request.head_dim);
    return {};
  }
  void release() noexcept override { delete this; }
};

}  // namespace

const Module ropewalk_module = make_module<RopeScaling, None>({
    .name = "none",
    .version = "1.0.0",
    .help = "No scaling, as trained",
    .source = "arXiv 2104.09864; huggingface/transformers modeling_rope_utils.py",
});
