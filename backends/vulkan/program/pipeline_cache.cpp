#include "backends/vulkan/program/pipeline_cache.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>

namespace ropewalk::vulkan {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;  // a larger file is not ours

struct CacheHeader {
  char magic[8];
  uint64_t bytes;  // of the data
  uint64_t checksum;
};
constexpr char kMagic[8] = {'R', 'W', 'V', 'K', 'P', 'I', 'P', '1'};

// FNV-1a: finds damage, not malice; the folder is the user's own.
uint64_t checksum(std::span<const std::byte> data) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const std::byte byte : data) hash = (hash ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  return hash;
}

std::string hex(const uint8_t (&uuid)[VK_UUID_SIZE]) {
  std::string text;
  char digits[3];
  for (const uint8_t byte : uuid) {
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
}

void note(const fs::path& file, const std::string& what) {
  std::fprintf(stderr, "note: %s: %s\n", file.string().c_str(), what.c_str());
}

// Readable by its owner alone.
bool write_new(const fs::path& file, std::span<const std::byte> data) {
  CacheHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.bytes = data.size();
  header.checksum = checksum(data);
  std::ofstream out(file, std::ios::binary);
  std::error_code failed;
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write, failed);
  out.write(reinterpret_cast<const char*>(&header), sizeof header);
  out.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  out.close();
  return out.good();
}

}  // namespace

fs::path pipeline_cache_file(const Features& features) {
  fs::path folder;
  const auto absolute = [](const char* variable) {
    const char* const value = std::getenv(variable);
    return value && fs::path(value).is_absolute() ? fs::path(value) : fs::path();
  };
  if (folder = absolute("XDG_CACHE_HOME"); folder.empty()) {
    if (folder = absolute("HOME"); !folder.empty()) folder /= ".cache";
  }
#ifdef _WIN32
  if (folder.empty()) folder = absolute("LOCALAPPDATA");
#endif
  if (folder.empty()) return {};
  return folder / "ropewalk" /
         ("vulkan-" + hex(features.device_uuid) + "-" + hex(features.cache_uuid) + ".cache");
}

std::vector<std::byte> load_pipeline_cache(const Features& features) {
  const fs::path file = pipeline_cache_file(features);
  std::error_code none;
  if (file.empty() || !fs::is_regular_file(file, none)) return {};
  std::ifstream in(file, std::ios::binary);
  CacheHeader header{};
  in.read(reinterpret_cast<char*>(&header), sizeof header);
  const uint64_t size = fs::file_size(file, none);
  if (!in || std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 ||
      header.bytes > kMaxFileBytes || size != sizeof header + header.bytes) {
    note(file, "damaged, ignored; it will be written anew");
    return {};
  }
  std::vector<std::byte> data(header.bytes);
  in.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
  if (!in || checksum(data) != header.checksum) {
    note(file, "damaged, ignored; it will be written anew");
    return {};
  }
  return data;
}

void store_pipeline_cache(const Features& features, std::span<const std::byte> data) noexcept {
  try {
    const fs::path file = pipeline_cache_file(features);
    if (file.empty()) return;
    std::error_code failed;
    fs::create_directories(file.parent_path(), failed);
    const fs::path fresh = file.string() + "." + std::to_string(std::random_device{}());
    if (!write_new(fresh, data)) {
      note(fresh, "cannot be written; the next start will compile its shaders again");
      fs::remove(fresh, failed);
      return;
    }
    fs::rename(fresh, file, failed);
    if (failed) fs::remove(fresh, failed);
  } catch (const std::exception&) {
    // No memory for a path: there will be no cache.
  }
}

}  // namespace ropewalk::vulkan
