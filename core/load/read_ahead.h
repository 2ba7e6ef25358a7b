// read_ahead.h — weights on their way from disk while those before them are packed.
//
// A few threads read, each a weight or a part of one at a time, so that a disk has several requests
// at once and what one thread checks does not keep another from reading. All of it happens in
// memory of the caller's, a ring from which each takes its room and to which the one that was
// packed gives it back. Weights come out in order. Owns its threads; used from one thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "core/abi/weight.h"

namespace ropewalk {

class ReadAhead {
 public:
  struct Job {
    // May throw; called on any thread. The room begins at a multiple of 256 of the ring.
    std::function<abi::Weight(std::span<std::byte> room)> read;
    uint64_t bytes;  // of the room that it needs
  };

  // REQUIRES: no job needs more than the ring has.
  ReadAhead(std::vector<Job> jobs, uint32_t threads, std::span<std::byte> ring);
  // Waits for the weights that are being read.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next weight, in its place in the ring until the next call; throws what reading it threw.
  // REQUIRES: one is left.
  const abi::Weight& next();

 private:
  struct Result {
    abi::Weight weight;
    uint64_t end = 0;  // of its room in the ring
    std::exception_ptr error;
    bool there = false;
  };

  void work();
  bool find_room();

  const std::vector<Job> jobs_;
  const std::span<std::byte> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Result> results_;
  size_t begun_ = 0, taken_ = 0, given_back_ = 0;
  // Of the rooms that are in use the first one's begin and the last one's end; those between them
  // wrap around where begin_ >= end_.
  uint64_t begin_ = 0, end_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ropewalk
