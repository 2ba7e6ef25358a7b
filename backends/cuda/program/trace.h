// trace.h — a named range in NVIDIA's profilers (NVTX): launches within it, recorded or not, show
// under the name of the graph's node. The cost is negligible where no profiler runs.
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
