// parallel.h — a loop shared among the processor's threads, for packing.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace ropewalk::vulkan {

// body(i) for i in [0, count), in any order; `bytes` is what the whole loop writes. The body must
// not throw.
template <class Body>
void parallel_for(uint64_t count, uint64_t bytes, const Body& body) {
  constexpr uint64_t kBytesOfThread = 1 << 20;  // below it a thread costs more than it saves
  const uint64_t most = std::max(1u, std::thread::hardware_concurrency());
  const uint64_t threads = std::min({most, count, bytes / kBytesOfThread + 1});
  std::atomic<uint64_t> next{0};
  const auto work = [&]() noexcept {
    for (uint64_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::jthread> others;
  for (uint64_t t = 1; t < threads; ++t) others.emplace_back(work);
  work();
}

}  // namespace ropewalk::vulkan
