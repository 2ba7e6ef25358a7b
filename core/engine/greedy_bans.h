// greedy_bans.h — chains of samplers that take the largest logit of all ids but some, always the
// same. A device can find it (core/abi/largest_logits.h), so the host need not read the logits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/config/config.h"

namespace ropewalk {

// The ids that are never taken; nothing for another chain. `end_ids` end a reply.
std::optional<std::vector<int32_t>> greedy_bans(std::span<const PluginChoice> samplers,
                                                std::span<const int32_t> end_ids);

}  // namespace ropewalk
