// writer.h — the thread that turns what replies say into bytes, and keeps silent streams alive.
//
// The scheduler's thread and the I/O thread only ring; jobs run here alone, hence need no lock. A
// job's turns are 4 ms apart at least: what came meanwhile leaves together, and so do the answers
// of all jobs that had a turn.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace ropewalk::serve {

using Clock = std::chrono::steady_clock;

// A request that is being answered.
class Job {
 public:
  virtual ~Job() = default;
  // Somebody has rung for it, or half a second has passed. Returns whether the job is over. Must
  // not throw.
  virtual bool turn(Clock::time_point now) = 0;
};

// Rings the writer for one job, from any thread, also after job and writer have gone.
class Bell {
 public:
  void ring() const;

 private:
  friend class Writer;
  struct Rung {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<uint64_t> jobs;
    bool stopped = false;
  };
  Bell(std::shared_ptr<Rung> rung, uint64_t job) : rung_(std::move(rung)), job_(job) {}
  std::shared_ptr<Rung> rung_;
  uint64_t job_;
};

class Writer {
 public:
  Writer();
  ~Writer();  // jobs that are not over are dropped
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // `make` gets the bell of the job that it returns. The job's first turn comes at once. From any
  // thread.
  void add(const std::function<std::unique_ptr<Job>(const Bell&)>& make);
  size_t jobs() const;

 private:
  void run();

  const std::shared_ptr<Bell::Rung> rung_ = std::make_shared<Bell::Rung>();
  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Job>> jobs_;
  uint64_t next_ = 0;
  std::thread thread_;
};

}  // namespace ropewalk::serve
