// trace.h — a named range in NVIDIA's profilers (NVTX): what is launched within it, or recorded,
// shows under the name of the graph's node. Costs nothing to speak of where no profiler listens.
#pragma once

#include <string>

namespace ropewalk::cuda {

class TraceRange {
 public:
  explicit TraceRange(const std::string& name);
  ~TraceRange();
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;
};

}  // namespace ropewalk::cuda
