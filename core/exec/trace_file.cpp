#include "core/exec/trace_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// Closes the list of events; the next event is written over it.
constexpr std::string_view kEnd = "\n]}\n";

// Names of a device or a model may not be UTF-8.
std::string quoted(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string microseconds(int64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

}  // namespace

TraceFile::TraceFile(const std::filesystem::path& file)
    : path_(file), file_(file, std::ios::binary | std::ios::trunc) {
  file_ << R"({"displayTimeUnit":"ns","traceEvents":[)";
  flush();
}

void TraceFile::add_line(const std::string& event) {
  file_ << (empty_ ? "\n" : ",\n") << event;
  empty_ = false;
}

void TraceFile::name_track(int track, std::string_view name) {
  add_line(fmt::format(R"({{"name":"thread_name","ph":"M","pid":1,"tid":{},"args":{{"name":{}}}}})",
                       track, quoted(name)));
}

void TraceFile::add(const TraceEvent& event) {
  add_line(
      fmt::format(R"({{"name":{},"cat":{},"ph":"X","ts":{},"dur":{},"pid":1,"tid":{},"args":{}}})",
                  quoted(event.name), quoted(event.category), microseconds(event.begin_ns),
                  microseconds(event.end_ns - event.begin_ns), event.track, event.args));
}

void TraceFile::flush() {
  file_ << kEnd << std::flush;
  if (!file_)
    throw Error(ExitCode::output, path_.string(),
                fmt::format("cannot be written: {}", std::strerror(errno)),
                "Check the folder, its permissions and the space left");
  file_.seekp(-static_cast<std::streamoff>(kEnd.size()), std::ios::cur);
}

}  // namespace ropewalk
