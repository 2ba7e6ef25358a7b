#include "core/load/weight_stream.h"

#include <fmt/format.h>

#include "core/base/bytes.h"
#include "core/base/error.h"
#include "core/checkpoint/weights/weight_room.h"
#include "core/load/weight_parts.h"

namespace ropewalk {
namespace {

constexpr uint32_t kThreads = 4;  // a few concurrent requests keep a disk busy

// Returns at least one part. Throws where not even the smallest part fits the ring.
std::vector<Columns> cut(const GraphTensor& tensor, const abi::Weight& shape, uint64_t ring_bytes) {
  std::vector<Columns> parts = parts_of(shape, tensor.column_order, ring_bytes);
  if (!parts.empty()) return parts;
  throw Error(ExitCode::out_of_memory, tensor.name,
              fmt::format("the backend gives {} of host memory for loading, {} of its columns "
                          "need {}",
                          format_bytes(ring_bytes), abi::kPartColumns,
                          format_bytes(room_bytes(shape, abi::kPartColumns))),
              "Use another backend");
}

}  // namespace

WeightStream::WeightStream(const WeightSource& weights, const ModelGraph& model,
                           std::span<std::byte> ring) {
  std::vector<ReadAhead::Job> jobs;
  for (const WeightLoad& load : model.weights) {
    const WeightInfo& info = load.info;
    for (const Columns& columns : cut(model.graph.tensors[load.tensor], info.shape, ring.size())) {
      parts_.push_back({load.tensor, {}});
      jobs.push_back({[&weights, &info, columns](std::span<std::byte> room) {
                        return weights.load(info, columns, room);
                      },
                      room_bytes(info.shape, columns.count)});
    }
  }
  reading_ = std::make_unique<ReadAhead>(std::move(jobs), kThreads, ring);
}

const WeightStream::Part* WeightStream::next() {
  if (taken_ == parts_.size()) return nullptr;
  Part& part = parts_[taken_++];
  part.weight = reading_->next();
  return &part;
}

}  // namespace ropewalk
