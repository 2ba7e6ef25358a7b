#include "core/serve/request/sampling_locks.h"

#include <algorithm>
#include <array>

namespace ropewalk::serve {
namespace {

constexpr std::string_view kTemperature = "temperature";
constexpr std::array<std::string_view, 13> kTruncating = {
    "top_p",       "min_p",  "top_a",          "typical_p",  "typical",
    "tfs",         "tfs_z",  "epsilon_cutoff", "eta_cutoff", "top_k",
    "top_n_sigma", "nsigma", "xtc_probability"};

// Those that set a temperature too.
constexpr std::array<std::string_view, 7> kOtherTemperatures = {
    "do_sample", "dynamic_temperature", "dynatemp_low", "min_temp", "dynatemp_high",
    "max_temp",  "dynatemp_range"};
constexpr std::array<std::string_view, 2> kMirostat = {"mirostat_mode", "mirostat"};
constexpr std::array<std::string_view, 3> kOrder = {"samplers", "sampler_priority",
                                                    "temperature_last"};

}  // namespace

std::set<std::string, std::less<>> locked_fields(std::span<const std::string> named) {
  std::set<std::string, std::less<>> locked(named.begin(), named.end());
  if (named.empty()) return locked;
  const bool temperature = locked.contains(kTemperature);
  const bool truncating = std::ranges::any_of(
      kTruncating, [&](std::string_view name) { return locked.contains(name); });
  if (temperature) locked.insert(kOtherTemperatures.begin(), kOtherTemperatures.end());
  if (temperature || truncating) locked.insert(kMirostat.begin(), kMirostat.end());
  locked.insert(kOrder.begin(), kOrder.end());
  return locked;
}

}  // namespace ropewalk::serve
