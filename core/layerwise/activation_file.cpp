#include "core/layerwise/activation_file.h"

#include <algorithm>

#include "core/quantize/checksum.h"

namespace ropewalk {

ActivationFile::ActivationFile(const std::filesystem::path& file, uint64_t tokens, StoredType type,
                               uint64_t max_width)
    : file_(file, tokens * max_width * stored_size(type), Existing::keep),
      tokens_(tokens),
      type_(type),
      bytes_(tokens * max_width * stored_size(type)) {}

size_t ActivationFile::index_of(const std::string& name) const {
  return static_cast<size_t>(std::ranges::find(values_, name, &LiveValue::name) - values_.begin());
}

uint64_t ActivationFile::offset_of(size_t value, uint64_t token) const {
  uint64_t offset = token * row_bytes(value);
  for (size_t before = 0; before < value; ++before) offset += tokens_ * row_bytes(before);
  return offset;
}

void ActivationFile::write(size_t value, uint64_t token, std::span<const std::byte> rows) const {
  file_.write_at(offset_of(value, token), rows);
}

void ActivationFile::read(size_t value, uint64_t token, std::span<std::byte> rows) const {
  file_.read_at(offset_of(value, token), rows);
}

std::string ActivationFile::settle() const {
  file_.flush();
  return checksum();
}

std::string ActivationFile::checksum() const {
  quantize::Checksum sum;
  std::vector<std::byte> block(size_t{1} << 20);
  const uint64_t end = values_.empty() ? 0 : offset_of(values_.size() - 1, tokens_);
  for (uint64_t at = 0; at < end; at += block.size()) {
    const auto part = std::span(block).first(std::min<uint64_t>(block.size(), end - at));
    file_.read_at(at, part);
    sum.add(part);
  }
  return sum.text();
}

}  // namespace ropewalk
