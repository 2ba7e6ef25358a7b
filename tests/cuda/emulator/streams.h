// streams.h — streams, events and recordings of the emulated runtime.
//
// What streams are given waits until someone asks for it; then it runs, one operation at a time, in
// an order that the events allow. Of those the forward order takes the stream made first whenever
// it can go on, the backward order (EMULATOR_ORDER=backward) the one made last: where a wait for an
// event is missing, one of the two is wrong. Not thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace ropewalk::emulator {

// Work, or the record of an event, or a wait for one; events are numbered anew at each record.
struct Command {
  cudaStream_t stream;
  std::function<void()> work;
  uint64_t records = 0, waits = 0;
};
using Commands = std::vector<Command>;

bool is_backward();
bool copies_are_late();
// Runs them all. Ends the process with a line where they wait for each other.
void run(const Commands& commands);
// Runs what streams have been given. No stream is recording that.
void flush();
// To a stream, or its recording.
void give(Command command);

}  // namespace ropewalk::emulator

struct CUgraph_st {
  ropewalk::emulator::Commands commands;
  std::vector<cudaStream_t> streams;
};
struct CUgraphExec_st {
  ropewalk::emulator::Commands commands;
};
struct CUstream_st {
  uint64_t number;  // in the order they were made
  CUgraph_st* recording = nullptr;
  bool began = false;     // the recording is this stream's
  uint64_t recorded = 0;  // operations of the recording that this stream brought
  uint64_t joined = 0;    // of these, how many the stream that began waits for
};
struct CUevent_st {
  CUstream_st* stream = nullptr;  // of a recording, else null
  uint64_t number = 0, recorded = 0;
  std::shared_ptr<std::chrono::steady_clock::time_point> time =
      std::make_shared<std::chrono::steady_clock::time_point>();
};
