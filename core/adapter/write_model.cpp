#include "core/adapter/write_model.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "core/base/parallel.h"
#include "core/checkpoint/formats/safetensors_writer.h"

namespace ropewalk {
namespace {

constexpr uint64_t kPieceBytes = 8 << 20;

struct Piece {
  size_t tensor;
  uint64_t offset, bytes;
};

// Whole rows where they are smaller than a piece.
std::vector<Piece> pieces_of(std::span<const TensorInfo> tensors) {
  std::vector<Piece> pieces;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = tensors[i];
    const uint64_t rows = tensor.shape.empty() ? 1 : std::max<uint64_t>(tensor.shape[0], 1);
    const uint64_t row = std::max<uint64_t>(tensor.bytes / rows, 1);
    const uint64_t step = std::max<uint64_t>(kPieceBytes / row, 1) * row;
    for (uint64_t at = 0; at < tensor.bytes; at += step)
      pieces.push_back({i, at, std::min(step, tensor.bytes - at)});
  }
  return pieces;
}

}  // namespace

void write_tensors(const Checkpoint& model, OutputFolder& folder, const WriteSettings& settings) {
  const SafetensorsWriter writer(
      folder, {"model", {model.tensors().begin(), model.tensors().end()}, settings.shard_bytes});
  const std::vector<Piece> pieces = pieces_of(model.tensors());
  uint64_t done = 0, total = 0;
  for (const Piece& piece : pieces) total += piece.bytes;
  std::mutex mutex;
  parallel_for(pieces.size(), settings.threads, [&](size_t i) {
    const Piece& piece = pieces[i];
    std::vector<std::byte> bytes(piece.bytes);
    model.read_from(model.tensors()[piece.tensor], piece.offset, bytes);
    writer.write(piece.tensor, piece.offset, bytes);
    const std::lock_guard lock(mutex);
    done += piece.bytes;
    settings.progress(done, total);
  });
  model.check_unchanged();
}

}  // namespace ropewalk
