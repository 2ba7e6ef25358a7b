#include "tests/cuda/emulator/overlap.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace ropewalk::emulator {
namespace {

constexpr size_t kWord = 4, kChunk = 4096;

struct Range {
  std::byte* at;
  size_t bytes;
};

struct Overlap {
  std::map<std::byte*, std::vector<std::byte>> copies;  // of device memory, as last looked at
  bool stale = true;                                    // others than kernels have written since
  std::map<uint64_t, std::vector<Range>> writes;        // by stream: of kernels that may still run
  uint64_t stream = 0;                                  // of the kernel that runs
  bool early = false, is_first_block = false;
  std::vector<std::byte> hidden;
};

Overlap& overlap() {
  static Overlap all;
  return all;
}

// Adds the words of an allocation that are not as in its copy, and makes the copy like them.
void take_changes(std::byte* at, std::vector<std::byte>& copy, std::vector<Range>& changes) {
  for (size_t chunk = 0; chunk < copy.size(); chunk += kChunk) {
    const size_t end = std::min(chunk + kChunk, copy.size());
    if (std::memcmp(at + chunk, &copy[chunk], end - chunk) == 0) continue;
    for (size_t i = chunk; i < end; i += kWord) {
      const size_t bytes = std::min(kWord, end - i);
      if (std::memcmp(at + i, &copy[i], bytes) == 0) continue;
      if (!changes.empty() && changes.back().at + changes.back().bytes == at + i)
        changes.back().bytes += bytes;
      else
        changes.push_back({at + i, bytes});
    }
    std::memcpy(&copy[chunk], at + chunk, end - chunk);
  }
}

void copy_all(const DeviceMemory& memory) {
  Overlap& all = overlap();
  all.copies.clear();
  for (const auto& [data, bytes] : memory) {
    auto* at = static_cast<std::byte*>(data);
    all.copies.emplace(at, std::vector<std::byte>(at, at + bytes));
  }
  all.stale = false;
}

}  // namespace

bool is_overlapped() {
  const char* order = std::getenv("EMULATOR_ORDER");
  return order && !std::strcmp(order, "overlapped");
}

void begin_kernel(const DeviceMemory& memory, uint64_t stream, bool early) {
  Overlap& all = overlap();
  if (!is_overlapped()) {
    all = {};
    return;
  }
  if (all.stale) copy_all(memory);
  if (!early) all.writes[stream].clear();
  all.stream = stream;
  all.early = early;
  all.is_first_block = true;
}

void end_kernel() {
  if (!is_overlapped()) return;
  Overlap& all = overlap();
  for (auto& [at, copy] : all.copies) take_changes(at, copy, all.writes[all.stream]);
}

void note_change() { overlap().stale = true; }

void end_overlap(uint64_t stream) {
  note_change();
  overlap().writes[stream].clear();
}

bool hide_writes() {
  Overlap& all = overlap();
  if (!is_overlapped() || !all.early || all.writes[all.stream].empty()) return false;
  all.hidden.clear();
  for (const Range& range : all.writes[all.stream]) {
    all.hidden.insert(all.hidden.end(), range.at, range.at + range.bytes);
    std::memset(range.at, 0xff, range.bytes);
  }
  return true;
}

bool show_writes() {
  Overlap& all = overlap();
  const std::vector<Range>& writes = all.writes[all.stream];
  const bool unchanged = std::all_of(writes.begin(), writes.end(), [](const Range& range) {
    return std::all_of(range.at, range.at + range.bytes,
                       [](std::byte byte) { return byte == std::byte{0xff}; });
  });
  // the last first: two kernels may have written the same word, and the first range has its value
  const std::byte* from = all.hidden.data() + all.hidden.size();
  for (auto range = writes.rbegin(); range != writes.rend(); ++range) {
    from -= range->bytes;
    std::memcpy(range->at, from, range->bytes);
  }
  if (!std::exchange(all.is_first_block, false)) return unchanged;
  // where the kernels in front wrote nothing: seen in the first thread block alone, to save time
  std::vector<Range> changes;
  for (auto& [at, copy] : all.copies) take_changes(at, copy, changes);
  return unchanged && changes.empty();
}

}  // namespace ropewalk::emulator
