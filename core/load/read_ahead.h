// read_ahead.h — reads the next weights from disk while earlier ones are packed.
//
// A few threads read, each one job (a weight or a part of one) at a time, so that the disk always
// has several requests and one thread may check values while another reads. They read into a ring
// of the caller's memory:
//
//     | free | packed now | read, waiting | being read | free |
//            ^ tail_                                   ^ head_
//
// A job takes room at head_; next() frees the room of the weight before at tail_. Weights come out
// in the order of the jobs. Owns its threads; used from one thread.
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
    // May throw; called on any thread. The room starts at a multiple of 256 bytes of the ring.
    std::function<abi::Weight(std::span<std::byte> room)> read;
    uint64_t bytes;  // size of that room
  };

  // REQUIRES: every job fits the ring.
  ReadAhead(std::vector<Job> jobs, uint32_t threads, std::span<std::byte> ring);
  // Waits for the weights that are being read.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next weight. It stays in the ring until the next call. Throws what reading it threw.
  // REQUIRES: one is left.
  const abi::Weight& next();

 private:
  struct Result {
    abi::Weight weight;
    uint64_t end = 0;  // where its room in the ring ends
    std::exception_ptr error;
    bool ready = false;
  };

  void work();
  bool take_room();

  const std::vector<Job> jobs_;
  const std::span<std::byte> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Result> results_;
  size_t started_ = 0, taken_ = 0, freed_ = 0;  // jobs
  // The rooms in use lie from tail_ to head_, wrapped around where tail_ >= head_.
  uint64_t tail_ = 0, head_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ropewalk
