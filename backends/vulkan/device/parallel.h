// parallel.h — a loop over the processor's threads, for packing.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace ropewalk::vulkan {

// Calls body(i) for i in [0, count), in any order; `bytes` is what the whole loop writes. REQUIRES:
// the body does not throw.
template <class Body>
void parallel_for(uint64_t count, uint64_t bytes, const Body& body) {
  constexpr uint64_t kMinBytesPerThread = 1 << 20;  // for less, a thread costs more than it saves
  const uint64_t max_threads = std::max(1u, std::thread::hardware_concurrency());
  const uint64_t threads = std::min({max_threads, count, bytes / kMinBytesPerThread + 1});
  std::atomic<uint64_t> next{0};
  const auto work = [&]() noexcept {
    for (uint64_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::jthread> others;
  for (uint64_t t = 1; t < threads; ++t) others.emplace_back(work);
  work();
}

}  // namespace ropewalk::vulkan
