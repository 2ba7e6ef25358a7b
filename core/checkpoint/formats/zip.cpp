#include "core/checkpoint/formats/zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>

#include "core/base/checked.h"
#include "core/checkpoint/refuse.h"

namespace ropewalk {
namespace {

//   | local header, name, bytes | ... | central directory | [zip64 end, locator] | end |
constexpr uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kEndMagic = 0x06054b50,
                   kEnd64Magic = 0x06064b50, kLocatorMagic = 0x07064b50;
constexpr uint64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                   kLocatorBytes = 20;
constexpr uint64_t kMaxDirectoryBytes = 64 << 20;
constexpr uint32_t kIn64 = 0xffffffff;  // "see the zip64 field"
constexpr uint16_t kEncrypted = 1;

// A window of bytes; the caller checks what it asks for against size().
class Bytes {
 public:
  Bytes(const File& file, uint64_t offset, uint64_t size) : bytes_(size) {
    file.read(offset, bytes_);
  }
  uint64_t size() const { return bytes_.size(); }
  uint16_t u16(uint64_t at) const { return get<uint16_t>(at); }
  uint32_t u32(uint64_t at) const { return get<uint32_t>(at); }
  uint64_t u64(uint64_t at) const { return get<uint64_t>(at); }
  std::string_view text(uint64_t at, uint64_t length) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + at, length};
  }

 private:
  template <class Word>
  Word get(uint64_t at) const {
    Word word;
    std::memcpy(&word, bytes_.data() + at, sizeof word);
    return word;
  }
  std::vector<std::byte> bytes_;
};

[[noreturn]] void damaged(const File& file, std::string_view what) {
  refuse(file.path(), fmt::format("is no whole zip file: {}", what), kDownloadAgain);
}

struct Directory {
  uint64_t offset, size, entries;
};

Directory find_directory(const File& file) {
  if (file.size() < kEndBytes) damaged(file, fmt::format("it has {} bytes", file.size()));
  const uint64_t end = file.size() - kEndBytes;
  const Bytes tail(file, end, kEndBytes);
  if (tail.u32(0) != kEndMagic) damaged(file, "it does not end as one");
  Directory found{tail.u32(16), tail.u32(12), tail.u16(10)};
  uint64_t expected_end = end;
  if (end >= kLocatorBytes + kEnd64Bytes) {
    const Bytes locator(file, end - kLocatorBytes, kLocatorBytes);
    if (locator.u32(0) == kLocatorMagic) {
      expected_end = end - kLocatorBytes - kEnd64Bytes;
      const Bytes end64(file, expected_end, kEnd64Bytes);
      if (locator.u64(8) != expected_end || end64.u32(0) != kEnd64Magic)
        damaged(file, "its zip64 record is not where it should be");
      found = {end64.u64(48), end64.u64(40), end64.u64(32)};
    }
  }
  if (found.size > kMaxDirectoryBytes || checked_add(found.offset, found.size) != expected_end)
    damaged(file, fmt::format("its directory of {} bytes at {} does not end at {}", found.size,
                              found.offset, expected_end));
  return found;
}

// The values that did not fit 32 bits stand in an extra field of id 1, in this order.
void read_zip64(const File& file, const Bytes& bytes, uint64_t at, uint64_t length, uint64_t* size,
                uint64_t* stored, uint64_t* offset) {
  const uint64_t end = at + length;
  while (end - at >= 4) {
    const uint16_t id = bytes.u16(at), field = bytes.u16(at + 2);
    at += 4;
    if (field > end - at) damaged(file, "an extra field is cut");
    if (id == 1) {
      uint64_t left = field, from = at;
      for (uint64_t* value : {size, stored, offset}) {
        if (*value != kIn64) continue;
        if (left < 8) damaged(file, "a zip64 field is cut");
        *value = bytes.u64(from);
        from += 8;
        left -= 8;
      }
      return;
    }
    at += field;
  }
}

// REQUIRES: a local header begins at `offset`. Where the entry's bytes begin.
uint64_t data_offset(const File& file, uint64_t offset, std::string_view name, uint64_t limit) {
  if (offset > limit || limit - offset < kLocalBytes + name.size())
    damaged(file, fmt::format("{} lies outside of it", printable(name)));
  const Bytes header(file, offset, kLocalBytes + name.size());
  if (header.u32(0) != kLocalMagic || header.u16(8) != 0 || header.u16(26) != name.size() ||
      header.text(kLocalBytes, name.size()) != name)
    damaged(file, fmt::format("{} is not where its directory says", printable(name)));
  return offset + kLocalBytes + name.size() + header.u16(28);
}

void check_apart(const File& file, std::vector<ZipEntry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.offset < b.offset; });
  std::set<std::string_view> names;
  uint64_t covered = 0;
  for (const ZipEntry& entry : entries) {
    if (entry.offset < covered)
      damaged(file, fmt::format("{} overlaps another entry", printable(entry.name)));
    if (!names.insert(entry.name).second)
      damaged(file, fmt::format("it has two entries {}", printable(entry.name)));
    covered = entry.offset + entry.size;
  }
}

}  // namespace

std::vector<ZipEntry> read_zip_directory(const File& file) {
  const Directory directory = find_directory(file);
  const Bytes bytes(file, directory.offset, directory.size);
  std::vector<ZipEntry> entries;
  uint64_t at = 0;
  while (at < bytes.size()) {
    if (bytes.size() - at < kCentralBytes || bytes.u32(at) != kCentralMagic)
      damaged(file, fmt::format("entry {} of its directory is cut", entries.size()));
    const uint64_t name_size = bytes.u16(at + 28), extra = bytes.u16(at + 30);
    const uint64_t whole = kCentralBytes + name_size + extra + bytes.u16(at + 32);
    if (whole > bytes.size() - at)
      damaged(file, fmt::format("entry {} of its directory is cut", entries.size()));
    const std::string_view name = bytes.text(at + kCentralBytes, name_size);
    uint64_t size = bytes.u32(at + 24), stored = bytes.u32(at + 20), offset = bytes.u32(at + 42);
    read_zip64(file, bytes, at + kCentralBytes + name_size, extra, &size, &stored, &offset);
    if (bytes.u16(at + 10) != 0 || size != stored || (bytes.u16(at + 8) & kEncrypted))
      damaged(file, fmt::format("{} is compressed or encrypted", printable(name)));
    const uint64_t data = data_offset(file, offset, name, directory.offset);
    if (data > directory.offset || size > directory.offset - data)
      damaged(file, fmt::format("{} lies outside of it", printable(name)));
    entries.push_back({std::string(name), data, size});
    at += whole;
  }
  if (entries.size() != directory.entries)
    damaged(file, fmt::format("its directory has {} entries, expected {}", entries.size(),
                              directory.entries));
  check_apart(file, entries);
  return entries;
}

}  // namespace ropewalk
