#include "core/checkpoint/weights/zero_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/abi/weight.h"
#include "core/base/log.h"
#include "core/checkpoint/refuse.h"
#include "core/checkpoint/weights/gptq.h"

namespace ropewalk {
namespace {

constexpr std::string_view kSuffix = ".qzeros";
// A symmetric checkpoint is known after a few layers; millions of equal codes are no chance.
constexpr size_t kEnoughLayers = 16;

struct Statistics {
  uint64_t codes = 0, below_centre = 0, centre = 0,
           top = 0;  // of 2^(bits-1)-1, 2^(bits-1), all ones
  size_t layers = 0;

  bool all_v1() const { return codes > 0 && below_centre == codes; }
  bool all_v2() const { return codes > 0 && centre == codes; }
};

// `codes` packed along the columns, each group's row a whole number of words: the rows may be read
// as one stream.
void add_layer(const Checkpoint& checkpoint, const TensorInfo& qzeros, Statistics& statistics) {
  const uint32_t bits = checkpoint.quantization()->bits;
  std::vector<uint32_t> words(qzeros.bytes / sizeof(uint32_t));
  checkpoint.read(qzeros, std::as_writable_bytes(std::span(words)));
  const uint64_t count = words.size() * 32 / bits;
  const uint32_t centre = 1u << (bits - 1), top = (1u << bits) - 1;
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t code = abi::gptq_code(words.data(), 1, bits, i);
    statistics.below_centre += code == centre - 1;
    statistics.centre += code == centre;
    statistics.top += code == top;
  }
  statistics.codes += count;
  ++statistics.layers;
}

Statistics gather(const Checkpoint& checkpoint) {
  Statistics statistics;
  const uint32_t bits = checkpoint.quantization()->bits;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!tensor.name.ends_with(kSuffix)) continue;
    if (tensor.type != StoredType::i32 || tensor.shape.size() != 2 ||
        tensor.shape[1] * 32 % bits != 0)
      refuse(place_of(checkpoint, tensor),
             fmt::format("found {} of shape [{}], expected I32 of [groups, outputs * {} / 32]",
                         stored_name(tensor.type), fmt::join(tensor.shape, ", "), bits),
             kDownloadAgain);
    add_layer(checkpoint, tensor, statistics);
    const bool symmetric = statistics.all_v1() || statistics.all_v2();
    if (symmetric && statistics.layers == kEnoughLayers) break;
  }
  return statistics;
}

}  // namespace

ZeroPoints detect_zero_points(const Checkpoint& checkpoint) {
  if (!checkpoint.quantization()) return ZeroPoints::v1;
  const QuantConfig& config = *checkpoint.quantization();
  const ZeroPoints claimed = config.zero_points_v2 ? ZeroPoints::v2 : ZeroPoints::v1;
  const Statistics statistics = gather(checkpoint);
  const uint32_t centre = 1u << (config.bits - 1);

  ZeroPoints decided = claimed;
  if (statistics.all_v1()) decided = ZeroPoints::v1;
  if (statistics.all_v2()) decided = ZeroPoints::v2;
  if (decided != claimed)
    warn(fmt::format(
        "{}: says checkpoint_format \"{}\", but all zero points are stored as {}, which "
        "only \"{}\" writes; read as \"{}\"",
        config.file, claimed == ZeroPoints::v2 ? "gptq_v2" : "gptq",
        decided == ZeroPoints::v2 ? centre : centre - 1,
        decided == ZeroPoints::v2 ? "gptq_v2" : "gptq",
        decided == ZeroPoints::v2 ? "gptq_v2" : "gptq"));
  const bool uniform = statistics.all_v1() || statistics.all_v2();
  if (config.symmetric && statistics.codes > 0 && !uniform)
    warn(fmt::format("{}: says sym true, but the zero points differ; used as stored", config.file));
  if (decided == ZeroPoints::v1 && statistics.top > 0)
    warn(fmt::format(
        "{}: {} zero points are stored as {}, which may mean {} or a lost 0; used as {}",
        config.file, statistics.top, 2 * centre - 1, 2 * centre, 2 * centre));
  return decided;
}

}  // namespace ropewalk
