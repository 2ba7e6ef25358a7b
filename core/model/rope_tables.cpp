#include "core/model/rope_tables.h"

#include <fmt/format.h>

#include <cmath>

#include "core/base/error.h"

namespace ropewalk {

RopeTables::RopeTables(const abi::RopeScaling& policy, const abi::RopeRequest& request,
                       RopeMode mode, const RopeHeads& heads)
    : policy_(policy),
      request_(request),
      heads_(heads),
      varies_(policy.varies_with_length() && mode != RopeMode::fixed),
      keys_stay_valid_(!varies_ || mode == RopeMode::exact) {
  fill(request.length);
}

std::span<const float> RopeTables::inv_freq(uint32_t length) {
  if (varies_ && length != filled_for_) fill(length);
  return table_;
}

void RopeTables::fill(uint32_t length) {
  std::vector<double> inv_freq(request_.head_dim / 2, 0);
  abi::RopeTable table{inv_freq, 1.0};
  abi::RopeRequest request = request_;
  request.length = length;
  if (const abi::Status status = policy_.fill(request, table); !status.ok()) {
    throw Error(
        ExitCode::usage, "rope", status.message,
        "Correct the rope block of the configuration, or leave it out to use the model's own");
  }
  attention_scale_ = table.attention_scale;
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    if (!std::isfinite(inv_freq[i]) || inv_freq[i] <= 0) {
      throw Error(ExitCode::plugin, "rope",
                  fmt::format("the policy's inverse frequency {} is {}, expected a positive number",
                              i, inv_freq[i]),
                  "Correct the policy's options or its code");
    }
  }
  if (!std::isfinite(attention_scale_) || attention_scale_ <= 0) {
    throw Error(ExitCode::plugin, "rope",
                fmt::format("the policy's attention scale is {}, expected a positive number",
                            attention_scale_),
                "Correct the policy's options or its code");
  }
  table_.assign(inv_freq.begin(), inv_freq.end());
  table_.resize(heads_.dim / 2, 0);
  for (uint32_t i = 0; heads_.local_theta != 0 && i < heads_.dim; i += 2)
    table_.push_back(
        static_cast<float>(std::pow(heads_.local_theta, -static_cast<double>(i) / heads_.dim)));
  filled_for_ = length;
}

}  // namespace ropewalk
