// streams.h — streams, events and recordings of the emulated runtime.
//
// Operations in streams are kept until their results are needed. Then they run, one at a time, in
// an order that the events allow. Forward order prefers the stream that was created first, backward
// order (EMULATOR_ORDER=backward) the one that was created last: where a wait for an event is
// missing, one of the two gives a wrong result. Not thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace ropewalk::emulator {

// Work, or the record of an event, or a wait for one; each record gives its event a new number.
struct Command {
  cudaStream_t stream;
  std::function<void()> work;
  uint64_t records = 0, waits = 0;
};
using Commands = std::vector<Command>;

bool is_backward();
bool is_scattered();
bool copies_are_late();
// Runs all commands. Ends the process with a line where they wait for each other.
void run(const Commands& commands);
// Runs all pending commands, which excludes those in recordings.
void flush();
// Adds a command to a stream, or to its recording.
void append(Command command);

}  // namespace ropewalk::emulator

struct CUgraph_st {
  ropewalk::emulator::Commands commands;
  std::vector<cudaStream_t> streams;
};
struct CUgraphExec_st {
  ropewalk::emulator::Commands commands;
};
struct CUstream_st {
  uint64_t number;  // in order of creation
  CUgraph_st* recording = nullptr;
  bool began = false;     // this stream began the recording
  uint64_t recorded = 0;  // operations that this stream added to the recording
  uint64_t joined = 0;    // how many of these the stream that began waits for
};
struct CUevent_st {
  CUstream_st* stream = nullptr;  // of a recording, else null
  uint64_t number = 0, recorded = 0;
  std::shared_ptr<std::chrono::steady_clock::time_point> time =
      std::make_shared<std::chrono::steady_clock::time_point>();
};
