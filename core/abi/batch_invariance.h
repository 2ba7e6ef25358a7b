// batch_invariance.h — the extension "batch-invariance": whether the bits of a row depend on the
// rows that share its step.
#pragma once

#include <string_view>

namespace ropewalk::abi {

inline constexpr std::string_view kBatchInvariance = "batch-invariance";

// What extension(kBatchInvariance) answers; the device owns it. A device without the extension
// promises nothing.
struct BatchInvariance {
  // Empty: a row has the same logits, to the bit, whatever other rows are in its step and however
  // its prompt was cut into steps. Otherwise what breaks this, in words.
  std::string_view broken_by;
};

}  // namespace ropewalk::abi
