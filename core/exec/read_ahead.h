// read_ahead.h — weights on their way from disk while those before them are packed.
//
// A few threads read, each a weight at a time, so that a disk has several requests at once and
// what one thread checks does not keep another from reading. Weights come out in order. Owns its
// threads; used from one thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/checkpoint/linear.h"

namespace ropewalk {

class ReadAhead {
 public:
  struct Job {
    std::function<std::unique_ptr<HostWeight>()> read;  // may throw; called on any thread
    uint64_t bytes;                                     // about what the weight takes in memory
  };
  struct Limits {
    uint32_t threads;
    uint64_t bytes;  // of weights that were begun and not yet taken; one alone may pass it
  };

  ReadAhead(std::vector<Job> jobs, Limits limits);
  // Waits for the weights that are being read.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next weight; throws what reading it threw. REQUIRES: one is left.
  std::unique_ptr<HostWeight> next();

 private:
  struct Result {
    std::unique_ptr<HostWeight> weight;
    std::exception_ptr error;
    bool there = false;
  };

  void work();
  bool may_begin() const;

  const std::vector<Job> jobs_;
  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Result> results_;
  size_t begun_ = 0, taken_ = 0;
  uint64_t bytes_ = 0;  // begun and not taken
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ropewalk
