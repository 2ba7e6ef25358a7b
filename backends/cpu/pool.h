// pool.h — the threads of a device: runs a list of small tasks and returns when all are done.
//
// A step of a small model is a hundred nodes of a few microseconds each, so starting a job must be
// cheap: workers spin for a moment after a job before they sleep, and a job too small for several
// threads runs on the caller. One caller at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace ropewalk::cpu {

class Pool {
 public:
  // `lanes` threads, the caller included; fewer if the system refuses a thread.
  explicit Pool(uint32_t lanes);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  uint32_t lanes() const { return static_cast<uint32_t>(workers_.size()) + 1; }

  // Calls body(task, lane) for each task in [0, tasks), in any order. `cost` estimates the whole
  // job in nanoseconds of one thread. REQUIRES: body does not throw.
  template <class Body>
  void run(uint32_t tasks, double cost, const Body& body) {
    if (tasks < 2 || workers_.empty() || cost < kWorthSharing) {
      for (uint32_t task = 0; task < tasks; ++task) body(task, 0u);
      return;
    }
    static_assert(std::is_nothrow_invocable_v<const Body&, uint32_t, uint32_t>);
    share(
        tasks,
        [](const void* context, uint32_t task, uint32_t lane) noexcept {
          (*static_cast<const Body*>(context))(task, lane);
        },
        &body);
  }

  // Calls body(first, last) for equal parts of [0, count), one per lane.
  template <class Body>
  void split(uint64_t count, double cost, const Body& body) {
    const uint64_t parts = cost < kWorthSharing ? 1 : lanes();
    run(static_cast<uint32_t>(parts), cost, [&](uint32_t part, uint32_t) noexcept {
      body(count * part / parts, count * (part + 1) / parts);
    });
  }

 private:
  using Call = void (*)(const void* context, uint32_t task, uint32_t lane) noexcept;
  static constexpr double kWorthSharing = 20'000;  // ns; starting a job costs one to five thousand

  void share(uint32_t tasks, Call call, const void* context);
  void work(uint32_t lane);
  bool take_one(uint32_t lane);

  // The job, written before `ticket_` and read after it. Relaxed atomics: a late worker may read
  // them while the next job is written, but then fails to take a task.
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> context_{nullptr};
  std::atomic<uint64_t> ticket_{0};   // job number << 32 | tasks not yet taken
  std::atomic<uint32_t> pending_{0};  // tasks not yet done
  std::atomic<uint32_t> jobs_{0};     // counts up with each job; sleepers wait on it
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace ropewalk::cpu
