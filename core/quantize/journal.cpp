#include "core/quantize/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "core/base/error.h"
#include "core/json/json.h"
#include "core/quantize/checksum.h"

namespace ropewalk::quantize {
namespace {

constexpr uint64_t kMaxBytes = 64 << 20;
constexpr std::string_view kAnew = "Begin anew with --fresh";

std::string check_of(std::string_view text) {
  Checksum sum;
  sum.add(std::as_bytes(std::span(text)));
  return sum.text();
}

std::string line_of(const Json& entry) {
  return Json{{"entry", entry}, {"check", check_of(entry.dump())}}.dump() + "\n";
}

// The path of the first field that differs; nullopt: none.
std::optional<std::string> difference(const Json& a, const Json& b, const std::string& path) {
  if (!a.is_object() || !b.is_object()) return a == b ? std::nullopt : std::optional(path);
  const std::string dot = path.empty() ? "" : path + ".";
  for (const auto& [key, value] : a.items()) {
    if (!b.contains(key)) return dot + key;
    if (auto found = difference(value, b[key], dot + key)) return found;
  }
  for (const auto& [key, value] : b.items())
    if (!a.contains(key)) return dot + key;
  return std::nullopt;
}

[[noreturn]] void cannot_write(const std::string& path, int error) {
  throw Error(ExitCode::output, path, fmt::format("cannot be written: {}", std::strerror(error)),
              error == ENOSPC ? "Make room on the disk and give the same command again"
                              : "Check the path and its permissions");
}

}  // namespace

Journal::Journal(const std::filesystem::path& file, const Json& fingerprint, Start start)
    : path_(file.string()),
      fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666)) {
  if (!fd_.valid()) cannot_write(path_, errno);
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(ExitCode::usage, path_, "is held by another run",
                "Wait for it, or choose another --out");
  if (start == Start::anew && ftruncate(fd_.get(), 0) != 0) cannot_write(path_, errno);
  read(fingerprint);
}

void Journal::read(const Json& fingerprint) {
  struct stat status {};
  if (fstat(fd_.get(), &status) != 0) cannot_write(path_, errno);
  if (static_cast<uint64_t>(status.st_size) > kMaxBytes)
    throw Error(ExitCode::model, path_, "is larger than any journal", kAnew);
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t got = 0;
  while (got < text.size()) {
    const ssize_t count =
        pread(fd_.get(), text.data() + got, text.size() - got, static_cast<off_t>(got));
    if (count <= 0) throw Error(ExitCode::model, path_, "cannot be read", kAnew);
    got += static_cast<size_t>(count);
  }
  const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
  if (whole < text.size() && ftruncate(fd_.get(), static_cast<off_t>(whole)) != 0)
    cannot_write(path_, errno);
  text.resize(whole);
  for_each_json_line(
      text, {path_, ExitCode::model}, [&](const Json& line, const JsonSource& source) {
        if (!line.is_object() || !line.contains("entry") || !line.contains("check") ||
            line["check"] != check_of(line["entry"].dump()))
          throw Error(ExitCode::model, source.file, "the line has changed since it was written",
                      kAnew);
        entries_.push_back(line["entry"]);
        return true;
      });
  const Json first = {{"fingerprint", fingerprint}};
  if (entries_.empty()) {
    write(first);
    return;
  }
  if (const auto field = difference(first, entries_.front(), ""))
    throw Error(ExitCode::usage, fmt::format("{}: {}", path_, *field),
                "differs from the run that began here",
                "Give the command as it was to go on, or --fresh to begin anew");
  entries_.erase(entries_.begin());
}

void Journal::append(const Json& entry) {
  write(entry);
  entries_.push_back(entry);
}

void Journal::write(const Json& entry) {
  const std::string line = line_of(entry);
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t wrote = ::write(fd_.get(), line.data() + done, line.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) cannot_write(path_, errno);
    done += static_cast<size_t>(wrote);
  }
  if (fsync(fd_.get()) != 0) cannot_write(path_, errno);
}

}  // namespace ropewalk::quantize
