#include "core/checkpoint/formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/base/text_in_place.h"
#include "core/checkpoint/formats/safetensors_events.h"
#include "core/checkpoint/formats/tensor_file.h"
#include "core/checkpoint/refuse.h"
#include "core/json/json_fields.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation

void check_frame(std::string_view json, const JsonSource& source) {
  if (!json.starts_with('{'))
    throw Error(
        source.code, source.file,
        fmt::format("the header begins with \"{}\", expected {{", printable(json.substr(0, 8))),
        kDownloadAgain);
  const size_t last = json.find_last_not_of(' ');
  if (json[last] != '}')
    throw Error(source.code, source.file,
                fmt::format("the header ends with \"{}\", expected }} and spaces",
                            printable(json.substr(last, 1))),
                kDownloadAgain);
}

// REQUIRES: `entries` in order of their data.
void check_neighbours(const std::vector<SafetensorsEntry>& entries, const JsonSource& source) {
  uint64_t covered = 0;
  const SafetensorsEntry* before = nullptr;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin < covered)
      throw Error(source.code, fmt::format("{}: {}", source.file, entry.name),
                  fmt::format("data_offsets [{}, {}] overlap those of {}, [{}, {}]", entry.begin,
                              entry.end, before->name, before->begin, before->end),
                  kDownloadAgain);
    if (entry.begin > covered)
      throw Error(
          source.code, fmt::format("{}: {}", source.file, entry.name),
          fmt::format("data_offsets begin at {}, expected {}: no tensor has the bytes between",
                      entry.begin, covered),
          kDownloadAgain);
    covered = entry.end;
    before = &entry;
  }
}

class SafetensorsFile final : public TensorFile {
 public:
  explicit SafetensorsFile(File file) : file_(std::move(file)) {
    const JsonSource source{file_.path(), ExitCode::model};
    std::byte prefix[kSafetensorsPrefix];
    const auto given = std::span(prefix).first(std::min(file_.size(), kSafetensorsPrefix));
    file_.read(0, given);
    std::string json(safetensors_header_size(given, file_.size(), source), '\0');
    file_.read(kSafetensorsPrefix, std::as_writable_bytes(std::span(json)));
    const uint64_t data = kSafetensorsPrefix + json.size();
    for (SafetensorsEntry& entry : parse_safetensors_header(json, file_.size(), source)) {
      offsets_.push_back(data + entry.begin);
      tensors_.push_back({std::move(entry.name), entry.type, std::move(entry.shape),
                          entry.end - entry.begin, std::string()});
    }
  }

  const File& file() const override { return file_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  void read_from(size_t index, uint64_t offset, std::span<std::byte> out) const override {
    file_.read(offsets_[index] + offset, out);
  }

 private:
  File file_;
  std::vector<TensorInfo> tensors_;
  std::vector<uint64_t> offsets_;  // of each tensor's first byte in the file
};

}  // namespace

uint64_t safetensors_header_size(std::span<const std::byte> prefix, uint64_t file_size,
                                 const JsonSource& source) {
  if (prefix.size() < kSafetensorsPrefix)
    throw Error(source.code, source.file,
                fmt::format("has {} bytes, too few for a safetensors file", file_size),
                kDownloadAgain);
  const std::string_view begin(reinterpret_cast<const char*>(prefix.data()), prefix.size());
  if (begin.starts_with("GGUF"))
    throw Error(source.code, source.file, "is a GGUF file, expected safetensors",
                "Take the GPTQ or the f16 files of this model");
  if (begins_as_text(begin))
    throw Error(source.code, source.file,
                fmt::format("is a text that begins with \"{}\", expected safetensors", begin),
                kPageInPlace);
  uint64_t size = 0;
  for (size_t i = 0; i < kSafetensorsPrefix; ++i)
    size |= std::to_integer<uint64_t>(prefix[i]) << (8 * i);
  if (size == 0 || size > kMaxHeaderBytes)
    throw Error(source.code, source.file,
                fmt::format("the header's length is {}, expected 1 to {}", size, kMaxHeaderBytes),
                "The file is damaged, or is no safetensors file: download it again");
  if (size > file_size - kSafetensorsPrefix)
    throw Error(
        source.code, source.file,
        fmt::format("the header's length is {}, but the file ends {} bytes after it: "
                    "expected size at least {}, have {}",
                    size, file_size - kSafetensorsPrefix, size + kSafetensorsPrefix, file_size),
        kDownloadAgain);
  return size;
}

std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json, uint64_t file_size,
                                                       const JsonSource& source) {
  check_frame(json, source);
  SafetensorsEvents events(source);
  walk_json(json, source, events);
  std::vector<SafetensorsEntry> entries = events.take();

  const uint64_t data_begin = kSafetensorsPrefix + json.size();
  const uint64_t data_size = file_size - data_begin;
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_neighbours(entries, source);
  const uint64_t described = entries.empty() ? 0 : entries.back().end;
  if (described > data_size) {
    const auto outside = std::find_if(entries.begin(), entries.end(),
                                      [&](const auto& entry) { return entry.end > data_size; });
    throw Error(source.code, fmt::format("{}: {}", source.file, outside->name),
                fmt::format("lies outside of the file: expected {} bytes of data, have {}",
                            described, data_size),
                kDownloadAgain);
  }
  if (described < data_size)
    throw Error(source.code, source.file,
                fmt::format("has {} bytes behind the last tensor: expected size {}, have {}",
                            data_size - described, data_begin + described, file_size),
                kDownloadAgain);
  return entries;
}

std::unique_ptr<TensorFile> open_safetensors(File file) {
  return std::make_unique<SafetensorsFile>(std::move(file));
}

}  // namespace ropewalk
