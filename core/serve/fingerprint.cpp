#include "core/serve/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/digest/sha256.h"

namespace ropewalk::serve {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kWhole = 4u << 20;
constexpr uint64_t kHead = 1u << 20;
constexpr uint64_t kPart = 64u << 10;
constexpr uint64_t kParts = 64;

bool is_models(const fs::path& file) {
  constexpr std::array<std::string_view, 4> kExtensions = {".safetensors", ".bin", ".json",
                                                           ".model"};
  return std::ranges::find(kExtensions, file.extension().string()) != kExtensions.end();
}

std::string read_at(std::ifstream& in, uint64_t offset, uint64_t bytes) {
  std::string text(bytes, '\0');
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(text.data(), static_cast<std::streamsize>(bytes));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  in.clear();
  return text;
}

std::string identity_of(const fs::path& file, uint64_t size) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(ExitCode::model, file.string(), "cannot be read", "");
  if (size <= kWhole) return sha256(read_at(in, 0, size));
  std::string digests = sha256(read_at(in, 0, kHead));
  for (uint64_t part = 1; part <= kParts; ++part)
    digests += sha256(read_at(in, (size - kPart) / kParts * part, kPart));
  return sha256(digests);
}

}  // namespace

std::string model_identity(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && is_models(entry.path())) files.push_back(entry.path());
  std::ranges::sort(files);
  std::string all;
  for (const fs::path& file : files) {
    const uint64_t size = fs::file_size(file);
    all += fmt::format("{} {} {}\n", file.filename().string(), size, identity_of(file, size));
  }
  return sha256(all);
}

std::string fingerprint(std::span<const std::string> parts) {
  std::string all;
  for (const std::string& part : parts) all += part + '\0';
  return sha256(all).substr(0, 12);
}

}  // namespace ropewalk::serve
