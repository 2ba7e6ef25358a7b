#include "backends/cpu/pool.h"

#include <chrono>
#include <system_error>

namespace ropewalk::cpu {
namespace {

// How long a thread spins before it sleeps. Longer than the gap between two nodes of a step, too
// short to slow down a loaded machine.
constexpr auto kSpin = std::chrono::microseconds(50);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits until `value` is no longer `old`.
void await_change(std::atomic<uint32_t>& value, uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

Pool::Pool(uint32_t lanes) {
  workers_.reserve(lanes);
  try {
    for (uint32_t lane = 1; lane < lanes; ++lane)
      workers_.emplace_back([this, lane] { work(lane); });
  } catch (const std::system_error&) {
    // A limit on threads: those that were made do the work.
  }
}

Pool::~Pool() {
  stop_ = true;
  jobs_.fetch_add(1);
  jobs_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Pool::share(uint32_t tasks, Call call, const void* context) {
  call_.store(call, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  pending_.store(tasks, std::memory_order_relaxed);
  const uint64_t job = jobs_.load(std::memory_order_relaxed) + 1u;
  ticket_.store(job << 32 | tasks, std::memory_order_release);
  jobs_.store(static_cast<uint32_t>(job), std::memory_order_release);
  jobs_.notify_all();
  while (take_one(0)) {
  }
  for (uint32_t left; (left = pending_.load(std::memory_order_acquire)) != 0;)
    await_change(pending_, left);
}

// Takes and runs a task; false when none is left. A compare-and-swap that succeeds proves that the
// job read before it is the current one: share() writes the next only when all tasks are done.
bool Pool::take_one(uint32_t lane) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(ticket) != 0) {
    const Call call = call_.load(std::memory_order_relaxed);
    const void* context = context_.load(std::memory_order_relaxed);
    if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire))
      continue;
    call(context, static_cast<uint32_t>(ticket) - 1, lane);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
    return true;
  }
  return false;
}

void Pool::work(uint32_t lane) {
  uint32_t seen = 0;
  while (!stop_.load(std::memory_order_acquire)) {
    while (take_one(lane)) {
    }
    await_change(jobs_, seen);
    seen = jobs_.load(std::memory_order_acquire);
  }
}

}  // namespace ropewalk::cpu
