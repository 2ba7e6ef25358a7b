#include "core/batch/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/new_file.h"
#include "core/batch/jsonl_file.h"
#include "core/batch/result_line.h"
#include "core/json/json.h"

namespace ropewalk::batch {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kBetweenSyncs{5};
constexpr const char* kAnswerer = "answerer";

[[noreturn]] void refuse_errno(const fs::path& file) {
  throw Error(ExitCode::output, file.string(),
              std::string("could not be written: ") + std::strerror(errno),
              "Free some space or write elsewhere");
}

bool has_bytes(const fs::path& file) {
  std::error_code error;
  const uintmax_t size = fs::file_size(file, error);
  return !error && size > 0;
}

}  // namespace

LineFile::LineFile(fs::path file)
    : file_(std::move(file)),
      fd_(open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (!fd_.valid()) refuse_errno(file_);
}

void LineFile::cut(uint64_t bytes) {
  if (ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) refuse_errno(file_);
}

void LineFile::add(std::string_view line) {
  const off_t before = lseek(fd_.get(), 0, SEEK_END);
  while (!line.empty()) {
    const ssize_t wrote = ::write(fd_.get(), line.data(), line.size());
    if (wrote > 0) line.remove_prefix(static_cast<size_t>(wrote));
    if (wrote >= 0 || errno == EINTR) continue;
    const int why = errno;
    if (before >= 0) (void)!ftruncate(fd_.get(), before);
    errno = why;
    refuse_errno(file_);
  }
}

void LineFile::sync() {
  // A pipe or a device cannot.
  if (fdatasync(fd_.get()) != 0 && errno != EINVAL && errno != EROFS) refuse_errno(file_);
}

SideFile::SideFile(fs::path file)
    : file_(std::move(file)), fd_(open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  if (!fd_.valid()) refuse_errno(file_);
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) refuse_errno(file_);
  throw Error(ExitCode::usage, file_.string(), "is locked: another batch writes to this output",
              "Wait for its end or name another --output");
}

Json SideFile::read() const {
  std::array<char, 4096> buffer;
  const ssize_t count = pread(fd_.get(), buffer.data(), buffer.size(), 0);
  const std::string_view text(buffer.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
  Json object = Json::parse(text, nullptr, false);
  return object.is_object() ? object : Json();
}

void SideFile::write(const Json& object) {
  const std::string text = object.dump() + "\n";
  const auto size = static_cast<ssize_t>(text.size());
  if (ftruncate(fd_.get(), 0) != 0 || pwrite(fd_.get(), text.data(), text.size(), 0) != size ||
      fsync(fd_.get()) != 0)
    refuse_errno(file_);
}

Ledger::Ledger(const LedgerFiles& files, const Json& questions, FailedLines failed)
    : files_(files), identity_(questions) {
  identity_["errors"] = files_.errors ? Json(files_.errors->filename().string()) : Json();
  const fs::path side = files_.output.string() + ".batch";
  for (const fs::path& file : {files_.output, files_.errors.value_or(files_.output)})
    if (fs::exists(file) && !fs::is_regular_file(file))
      throw Error(ExitCode::output, file.string(), "is not a regular file, expected one or none",
                  "Name another one");
  if (has_answers() && !fs::exists(side))
    throw Error(ExitCode::usage, files_.output.string(),
                fmt::format("was not begun by `ropewalk batch`: there is no {}", side.string()),
                "Name another --output");
  side_.emplace(side);
  check_identity();
  if (failed == FailedLines::ask_again) {
    drop_failed(files_.output);
    if (files_.errors) drop_failed(*files_.errors);
  }
  output_.emplace(files_.output);
  read(*output_);
  if (!files_.errors) return;
  errors_.emplace(*files_.errors);
  read(*errors_);
}

bool Ledger::has_answers() const {
  return has_bytes(files_.output) || (files_.errors && has_bytes(*files_.errors));
}

void Ledger::check_identity() {
  if (!has_answers()) return;
  const Json found = side_->read();
  for (const auto& [name, value] : identity_.items())
    if (!found.is_object() || !found.contains(name) || found[name] != value)
      throw Error(ExitCode::usage, files_.output.string(),
                  fmt::format("holds answers of another batch: {} differs", name),
                  "Go on with the --input, --shard and --errors that it began with, or name "
                  "another --output");
  answerer_ = found.value(kAnswerer, "");
}

void Ledger::drop_failed(const fs::path& file) {
  if (!has_bytes(file)) return;
  JsonlFile lines(file);
  NewFile kept(file);
  for (std::string line; lines.next(line) && !lines.is_cut();)
    if (!read_result(line, lines.where()).failed()) kept.write(line + "\n");
  kept.commit();
}

void Ledger::read(LineFile& file) {
  JsonlFile lines(file.path());
  for (std::string line; lines.next(line);) {
    if (lines.is_cut()) {
      file.cut(lines.offset());
      note(fmt::format("{}: its last line was unfinished and is answered again", lines.where()));
      return;
    }
    const Result result = read_result(line, lines.where());
    if (!known_.insert(result.custom_id).second)
      throw Error(ExitCode::usage, lines.where(),
                  fmt::format("answers {} a second time", printable(result.custom_id)),
                  "Delete the line");
    ++lines_;
    if (result.failed()) ++failed_;
  }
}

void Ledger::bind(const std::string& answerer) {
  if (answerer_ == answerer) return;
  if (lines_ > 0)
    throw Error(ExitCode::usage, files_.output.string(),
                "holds answers of another model, device or configuration",
                "Go on with the one that it began with, or name another --output");
  Json identity = identity_;
  identity[kAnswerer] = answerer;
  side_->write(identity);
}

void Ledger::add(std::string_view line, int status) {
  const bool failed = status != 200;
  (failed && errors_ ? *errors_ : *output_).add(line);
  ++lines_;
  if (failed) ++failed_;
  if (std::chrono::steady_clock::now() - synced_ >= kBetweenSyncs) sync();
}

void Ledger::sync() {
  output_->sync();
  if (errors_) errors_->sync();
  synced_ = std::chrono::steady_clock::now();
}

}  // namespace ropewalk::batch
