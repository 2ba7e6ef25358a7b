#include "core/layerwise/activations.h"

#include <algorithm>

#include "core/modules/library.h"
#include "core/quantize/checksum.h"

namespace ropewalk {

size_t Activations::index_of(const std::string& name) const {
  return static_cast<size_t>(std::ranges::find(values_, name, &LiveValue::name) - values_.begin());
}

uint64_t Activations::offset_of(size_t value, uint64_t token) const {
  uint64_t offset = token * row_bytes(value);
  for (size_t before = 0; before < value; ++before) offset += tokens_ * row_bytes(before);
  return offset;
}

uint64_t activation_bytes(uint64_t tokens, StoredType type, uint64_t max_width) {
  return tokens * max_width * stored_size(type);
}

ActivationFile::ActivationFile(const std::filesystem::path& file, uint64_t tokens, StoredType type,
                               uint64_t max_width)
    : Activations(tokens, type),
      file_(file, activation_bytes(tokens, type, max_width), Existing::keep) {}

ValueRows ActivationFile::read(size_t value, uint64_t token, uint64_t tokens) const {
  ValueRows rows = room(value, token, tokens);
  file_.read_at(offset_of(value, token), rows.host);
  return rows;
}

ValueRows ActivationFile::room(size_t value, uint64_t, uint64_t tokens) const {
  return {.host = std::vector<std::byte>(tokens * row_bytes(value))};
}

void ActivationFile::write(size_t value, uint64_t token, const ValueRows& rows) {
  file_.write_at(offset_of(value, token), rows.host);
}

std::string ActivationFile::settle() const {
  file_.flush();
  return checksum();
}

std::string ActivationFile::checksum() const {
  quantize::Checksum sum;
  std::vector<std::byte> block(size_t{1} << 20);
  for (uint64_t at = 0; at < end(); at += block.size()) {
    const auto part = std::span(block).first(std::min<uint64_t>(block.size(), end() - at));
    file_.read_at(at, part);
    sum.add(part);
  }
  return sum.text();
}

ActivationMemory::ActivationMemory(const LayerDevice& on, uint64_t tokens, StoredType type,
                                   uint64_t max_width)
    : Activations(tokens, type), on_(on) {
  check(on.device().allocate(abi::Arena::scratch, activation_bytes(tokens, type, max_width),
                             &buffer_),
        "values between the layers");
}

ActivationMemory::~ActivationMemory() { on_.device().free(buffer_); }

ValueRows ActivationMemory::read(size_t value, uint64_t token, uint64_t tokens) const {
  return {.device = {buffer_, offset_of(value, token), tokens * row_bytes(value)}};
}

ValueRows ActivationMemory::room(size_t value, uint64_t token, uint64_t tokens) const {
  return read(value, token, tokens);
}

void ActivationMemory::write(size_t value, uint64_t token, const ValueRows& rows) {
  const abi::Slice to{buffer_, offset_of(value, token), rows.device.bytes};
  if (to.buffer.id == rows.device.buffer.id && to.offset == rows.device.offset) return;
  copy_on(on_, to, rows.device, on_.info().activation);
}

uint32_t copy_on(const LayerDevice& on, const abi::Slice& to, const abi::Slice& from,
                 abi::DType type) {
  uint32_t first_bad = 0;
  check(on.solver()->copy(to, from, type, &first_bad), "a copy of values");
  return first_bad;
}

}  // namespace ropewalk
