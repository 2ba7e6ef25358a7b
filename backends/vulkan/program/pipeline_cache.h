// pipeline_cache.h — the driver's pipeline cache as a file, so that the second start is fast.
//
// $XDG_CACHE_HOME/ropewalk/vulkan-<device UUID>-<driver UUID>.cache, or ~/.cache/ropewalk/... . The
// contents belong to the driver. A header of ours with a checksum precedes them, so that the driver
// never sees a damaged file. A failure is a note on stderr and nothing more.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "backends/vulkan/device/features.h"

namespace ropewalk::vulkan {

// Empty where neither XDG_CACHE_HOME nor HOME names an absolute folder.
std::filesystem::path pipeline_cache_file(const Features& features);

// Empty where there is no file, or a damaged one: that is noted.
std::vector<std::byte> load_pipeline_cache(const Features& features);

// Atomic: readers see the old file or the new one.
void store_pipeline_cache(const Features& features, std::span<const std::byte> data) noexcept;

}  // namespace ropewalk::vulkan
