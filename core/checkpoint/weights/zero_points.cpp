#include "core/checkpoint/weights/zero_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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
  uint64_t codes = 0;
  // As stored: codes of 2^(bits-1)-1, of 2^(bits-1), and of all ones.
  uint64_t below_centre = 0, centre = 0, top = 0;
  uint64_t returned_centre = 0;  // 2^(bits-1) once what was borrowed is returned
  uint32_t bits = 0;             // of the first layer, for messages
  size_t layers = 0;

  bool all_v1() const { return codes > 0 && below_centre == codes; }
  bool all_v2() const { return codes > 0 && centre == codes; }
  bool all_returned() const { return codes > 0 && returned_centre == codes; }
};

// `codes` packed along the columns, each group's row a whole number of words: the rows may be read
// as one stream.
void add_layer(const Checkpoint& checkpoint, const TensorInfo& qzeros, uint32_t bits,
               Statistics& statistics) {
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
  if (checkpoint.quantization()->by_gptqmodel) {
    return_borrowed(words, qzeros.shape[1], bits);
    for (uint64_t i = 0; i < count; ++i)
      statistics.returned_centre += abi::gptq_code(words.data(), 1, bits, i) == centre;
  }
  if (statistics.layers == 0) statistics.bits = bits;
  statistics.codes += count;
  ++statistics.layers;
}

Statistics gather_statistics(const Checkpoint& checkpoint) {
  Statistics statistics;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!tensor.name.ends_with(kSuffix)) continue;
    if (tensor.type != StoredType::i32 || tensor.shape.size() != 2)
      refuse(place_of(checkpoint, tensor),
             fmt::format("found {} of shape [{}], expected I32 of [groups, outputs * {} / 32]",
                         stored_name(tensor.type), fmt::join(tensor.shape, ", "),
                         checkpoint.quantization()->bits),
             kDownloadAgain);
    const uint32_t bits = zero_point_bits(checkpoint, tensor);
    if (bits == 0) continue;  // gptq_shape() says what is wrong with the layer
    add_layer(checkpoint, tensor, bits, statistics);
    const bool symmetric = statistics.all_v1() || statistics.all_v2() || statistics.all_returned();
    if (symmetric && statistics.layers == kEnoughLayers) break;
  }
  return statistics;
}

ZeroPoints claimed_by(const QuantConfig& config) {
  if (config.zero_format == ZeroFormat::v2) return ZeroPoints::v2;
  return config.by_gptqmodel ? ZeroPoints::v1_borrowed : ZeroPoints::v1;
}

void warn_of_format(const QuantConfig& config, ZeroPoints decided, uint32_t bits) {
  const bool v2 = decided == ZeroPoints::v2;
  if (config.zero_format == (v2 ? ZeroFormat::v2 : ZeroFormat::v1)) return;
  if (config.zero_format == ZeroFormat::contradicted) return;  // which was said with the configs
  const uint32_t centre = 1u << (bits - 1);
  const std::string_view claim = config.zero_format == ZeroFormat::v2   ? "says \"gptq_v2\""
                                 : config.zero_format == ZeroFormat::v1 ? "says \"gptq\""
                                                                        : "is left out";
  warn(
      fmt::format("{}: checkpoint_format {}, but all zero points are stored as {}, which only "
                  "\"{}\" writes; read as \"{}\"",
                  config.files.zero_format, claim, v2 ? centre : centre - 1,
                  v2 ? "gptq_v2" : "gptq", v2 ? "gptq_v2" : "gptq"));
}

}  // namespace

ZeroPoints detect_zero_points(const Checkpoint& checkpoint) {
  if (!checkpoint.quantization()) return ZeroPoints::v1;
  const QuantConfig& config = *checkpoint.quantization();
  const Statistics statistics = gather_statistics(checkpoint);
  if (statistics.codes == 0) return claimed_by(config);
  const uint32_t centre = 1u << (statistics.bits - 1);

  if (statistics.all_v1() || statistics.all_v2()) {
    const ZeroPoints decided = statistics.all_v2() ? ZeroPoints::v2 : ZeroPoints::v1;
    // Most files leave the format out, and mean the first one.
    if (decided == ZeroPoints::v2 || config.zero_format != ZeroFormat::unsaid)
      warn_of_format(config, decided, statistics.bits);
    return decided;
  }
  if (config.zero_format == ZeroFormat::contradicted)
    refuse(fmt::format("{}: checkpoint_format", config.files.zero_format),
           "config.json's quantization_config says another one, and the zero points, which differ "
           "from each other, do not tell which is right",
           "Delete the one that is wrong");
  const ZeroPoints claimed = claimed_by(config);
  const bool uniform = claimed == ZeroPoints::v1_borrowed && statistics.all_returned();
  if (config.symmetric.value_or(false) && !uniform)
    warn(fmt::format("{}: says sym true, but the zero points differ; used as stored",
                     config.files.symmetric));
  if (claimed == ZeroPoints::v1 && statistics.top > 0)
    warn(fmt::format(
        "{}: {} zero points are stored as {}, which may mean {} or a lost 0; used as {}",
        config.files.zero_format, statistics.top, 2 * centre - 1, 2 * centre, 2 * centre));
  return claimed;
}

void return_borrowed(std::span<uint32_t> words, uint64_t row_words, uint32_t bits) {
  // Of 3 bits the words hold codes at three offsets. These are the numbers that GPTQModel takes
  // away, although only the second of them is a one in every code.
  constexpr std::array<uint32_t, 3> kThreeBits{0x24924924, 0x92492492, 0x49249249};
  const uint32_t ones = bits == 2 ? 0x55555555 : bits == 4 ? 0x11111111 : 0x01010101;
  for (uint64_t i = 0; i < words.size(); ++i)
    words[i] += bits == 3 ? kThreeBits[i % row_words % 3] : ones;
}

uint32_t zero_point_bits(const Checkpoint& checkpoint, const TensorInfo& qzeros) {
  if (qzeros.type != StoredType::i32 || qzeros.shape.size() != 2) return 0;
  std::string name = qzeros.name.substr(0, qzeros.name.size() - kSuffix.size()) + ".qweight";
  const TensorInfo* qweight = checkpoint.find(name);
  if (!qweight || qweight->shape.size() != 2 || qweight->shape[1] == 0) {
    const uint32_t bits = checkpoint.quantization()->bits;
    return qzeros.shape[1] * 32 % bits == 0 ? bits : 0;
  }
  for (const uint64_t bits : {2, 3, 4, 8})
    if (qzeros.shape[1] * 32 == qweight->shape[1] * bits) return static_cast<uint32_t>(bits);
  return 0;
}

}  // namespace ropewalk
