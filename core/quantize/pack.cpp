#include "core/quantize/pack.h"

namespace ropewalk::quantize {
namespace {

// Puts `bits` bits at bit `at` of each of `count` streams of words that lie side by side: word i of
// stream r is words[i * count + r].
void put(uint32_t* words, size_t count, uint64_t at, const uint8_t* codes, uint32_t bits) {
  const uint32_t shift = at % 32;
  uint32_t* to = words + at / 32 * count;
  for (size_t r = 0; r < count; ++r) to[r] |= uint32_t{codes[r]} << shift;
  if (shift + bits <= 32) return;
  for (size_t r = 0; r < count; ++r) to[count + r] |= uint32_t{codes[r]} >> (32 - shift);
}

}  // namespace

PackedMatrix pack(const QuantizedMatrix& matrix, ZeroForm zeros) {
  const size_t rows = matrix.rows, cols = matrix.cols, groups = matrix.groups();
  const uint32_t bits = matrix.bits, offset = zeros == ZeroForm::v1 ? 1 : 0;
  PackedMatrix packed;
  packed.qweight.resize(cols * bits / 32 * rows);
  for (size_t k = 0; k < cols; ++k)
    put(packed.qweight.data(), rows, k * bits, matrix.codes.data() + k * rows, bits);
  const size_t width = rows * bits / 32;
  packed.qzeros.resize(groups * width);
  for (size_t group = 0; group < groups; ++group)
    for (size_t row = 0; row < rows; ++row) {
      const auto zero = static_cast<uint8_t>(matrix.zeros[group * rows + row] - offset);
      put(packed.qzeros.data() + group * width, 1, row * bits, &zero, bits);
    }
  packed.scales = matrix.scales;
  packed.g_idx.assign(matrix.group_of.begin(), matrix.group_of.end());
  return packed;
}

}  // namespace ropewalk::quantize
