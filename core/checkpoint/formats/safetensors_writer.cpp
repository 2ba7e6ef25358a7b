#include "core/checkpoint/formats/safetensors_writer.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "core/checkpoint/formats/safetensors.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

// Readers that map the file like tensors to begin at multiples of this (safetensors, README).
constexpr size_t kHeaderAlignment = 8;

// The N bytes of JSON, for tensors that lie one behind the other.
std::string header_of(std::span<const TensorInfo> tensors) {
  Json::object_t members;
  members.emplace_back("__metadata__", Json{{"format", "pt"}});  // accelerate refuses other files
  uint64_t begin = 0;
  for (const TensorInfo& tensor : tensors) {
    members.emplace_back(tensor.name, Json{{"dtype", stored_name(tensor.type)},
                                           {"shape", tensor.shape},
                                           {"data_offsets", {begin, begin + tensor.bytes}}});
    begin += tensor.bytes;
  }
  std::string header = Json(std::move(members)).dump();
  header.resize((header.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  return header;
}

std::array<std::byte, kSafetensorsPrefix> prefix_of(uint64_t header_size) {
  std::array<std::byte, kSafetensorsPrefix> prefix;
  for (size_t i = 0; i < prefix.size(); ++i)
    prefix[i] = static_cast<std::byte>(header_size >> (8 * i) & 255);
  return prefix;
}

// The first tensor of every file but the first, then the number of tensors.
std::vector<size_t> shard_ends(std::span<const TensorInfo> tensors, uint64_t shard_bytes) {
  std::vector<size_t> ends;
  uint64_t bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (bytes > 0 && bytes + tensors[i].bytes > shard_bytes) {
      ends.push_back(i);
      bytes = 0;
    }
    bytes += tensors[i].bytes;
  }
  ends.push_back(tensors.size());
  return ends;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(OutputFolder& folder, SafetensorsPlan plan)
    : tensors_(std::move(plan.tensors)) {
  const std::vector<size_t> ends = shard_ends(tensors_, plan.shard_bytes);
  size_t first = 0;
  for (size_t shard = 0; shard < ends.size(); ++shard) {
    const std::string name = ends.size() == 1 ? plan.stem + ".safetensors"
                                              : fmt::format("{}-{:05}-of-{:05}.safetensors",
                                                            plan.stem, shard + 1, ends.size());
    for (size_t i = first; i < ends[shard]; ++i) tensors_[i].file = name;
    add_file(folder, first, ends[shard]);
    first = ends[shard];
  }
  if (ends.size() > 1) add_index(folder, plan.stem + ".safetensors.index.json");
}

void SafetensorsWriter::add_file(OutputFolder& folder, size_t first, size_t last) {
  const auto tensors = std::span(tensors_).subspan(first, last - first);
  const std::string header = header_of(tensors);
  uint64_t end = kSafetensorsPrefix + header.size();
  std::vector<uint64_t> offsets;
  for (const TensorInfo& tensor : tensors) {
    offsets.push_back(end);
    end += tensor.bytes;
  }
  const OutputFile& file = folder.add(tensors.empty() ? "model.safetensors" : tensors[0].file, end);
  file.write_at(0, prefix_of(header.size()));
  file.write_at(kSafetensorsPrefix, std::as_bytes(std::span(header)));
  for (const uint64_t offset : offsets) places_.push_back({&file, offset});
}

void SafetensorsWriter::add_index(OutputFolder& folder, const std::string& name) const {
  uint64_t total = 0;
  Json::object_t weight_map;
  for (const TensorInfo& tensor : tensors_) {
    total += tensor.bytes;
    weight_map.emplace_back(tensor.name, tensor.file);
  }
  const Json index = {{"metadata", {{"total_size", total}}},
                      {"weight_map", Json(std::move(weight_map))}};
  folder.add_text(name, index.dump(2) + "\n");
}

void SafetensorsWriter::write(size_t index, uint64_t offset,
                              std::span<const std::byte> bytes) const {
  places_[index].file->write_at(places_[index].offset + offset, bytes);
}

void SafetensorsWriter::read(size_t index, uint64_t offset, std::span<std::byte> bytes) const {
  places_[index].file->read_at(places_[index].offset + offset, bytes);
}

void SafetensorsWriter::flush() const {
  const OutputFile* last = nullptr;
  for (const Place& place : places_) {
    if (place.file != last) place.file->flush();
    last = place.file;
  }
}

}  // namespace ropewalk
