#pragma once
// What most sources of plugins and backends include, in one precompiled header (see
// cmake/Precompiled.cmake). Sources include what they use all the same.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>
