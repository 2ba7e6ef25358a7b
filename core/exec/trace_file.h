// trace_file.h — a file of trace events that Perfetto and chrome://tracing open.
//
// Source: "Trace Event Format" of the Chromium project, JSON Object Format: an object with
// "traceEvents", of which metadata events ("M") name the tracks and complete events ("X") have a
// begin and a duration in microseconds. Events of a track may nest but not overlap, so times are
// whole nanoseconds here. The file is complete after every flush(). Not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace ropewalk {

struct TraceEvent {
  int track;  // "tid"
  std::string_view name;
  std::string_view category;
  int64_t begin_ns, end_ns;
  std::string args;  // a JSON object
};

class TraceFile {
 public:
  // Creates the file, without events. Throws Error (output).
  explicit TraceFile(const std::filesystem::path& file);

  void name_track(int track, std::string_view name);
  void add(const TraceEvent& event);
  // Writes what was added. Throws Error (output).
  void flush();

 private:
  void add_line(const std::string& event);

  const std::filesystem::path path_;
  std::ofstream file_;
  bool empty_ = true;
};

}  // namespace ropewalk
