#include "core/batch/jsonl_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace ropewalk::batch {
namespace {

constexpr size_t kMaxLine = size_t{1} << 30;
constexpr size_t kBuffer = size_t{1} << 18;

}  // namespace

JsonlFile::JsonlFile(std::filesystem::path file) : file_(std::move(file)) {
  std::error_code error;
  if (std::filesystem::exists(file_, error) && !std::filesystem::is_regular_file(file_, error))
    throw Error(ExitCode::usage, file_.string(), "is not a regular file, expected one",
                "It is read twice, so a pipe does not do");
  errno = 0;
  in_.open(file_, std::ios::binary);
  if (!in_)
    throw Error(ExitCode::usage, file_.string(),
                std::string("could not be read: ") + std::strerror(errno), "Check the path");
}

std::string JsonlFile::where() const { return fmt::format("{}:{}", file_.string(), number_); }

bool JsonlFile::refill() {
  at_ = 0;
  buffer_.resize(kBuffer);
  in_.read(buffer_.data(), static_cast<std::streamsize>(kBuffer));
  buffer_.resize(static_cast<size_t>(in_.gcount()));
  if (in_.bad())
    throw Error(ExitCode::usage, file_.string(), "could not be read to its end", "Check the disk");
  return !buffer_.empty();
}

bool JsonlFile::next_of_any_kind(std::string& line) {
  line.clear();
  begin_ = end_;
  ++number_;
  while (at_ < buffer_.size() || refill()) {
    const size_t end = std::min(buffer_.find('\n', at_), buffer_.size());
    line.append(buffer_, at_, end - at_);
    end_ += end - at_;
    at_ = end;
    if (line.size() > kMaxLine)
      throw Error(ExitCode::limit, where(), "is longer than 1 GiB, expected less", "");
    if (at_ == buffer_.size()) continue;
    ++at_;
    ++end_;
    cut_ = false;
    return true;
  }
  cut_ = !line.empty();
  return cut_;
}

bool JsonlFile::next(std::string& line) {
  while (next_of_any_kind(line))
    if (line.find_first_not_of(" \t\r") != std::string::npos) return true;
  return false;
}

}  // namespace ropewalk::batch
