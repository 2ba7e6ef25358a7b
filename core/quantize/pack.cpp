#include "core/quantize/pack.h"

namespace ropewalk::quantize {
namespace {

// Puts `bits` bits at bit `at` of a stream of words that lie `stride` apart.
void put(uint32_t* words, size_t stride, uint64_t at, uint32_t code, uint32_t bits) {
  const uint64_t word = at / 32, shift = at % 32;
  words[word * stride] |= code << shift;
  if (shift + bits > 32) words[(word + 1) * stride] |= code >> (32 - shift);
}

}  // namespace

PackedMatrix pack(const QuantizedMatrix& matrix, ZeroForm zeros) {
  const size_t rows = matrix.rows, cols = matrix.cols, groups = matrix.groups();
  const uint32_t bits = matrix.bits, offset = zeros == ZeroForm::v1 ? 1 : 0;
  PackedMatrix packed;
  packed.qweight.resize(cols * bits / 32 * rows);
  for (size_t k = 0; k < cols; ++k)
    for (size_t row = 0; row < rows; ++row)
      put(packed.qweight.data() + row, rows, k * bits, matrix.codes[k * rows + row], bits);
  const size_t width = rows * bits / 32;
  packed.qzeros.resize(groups * width);
  for (size_t group = 0; group < groups; ++group)
    for (size_t row = 0; row < rows; ++row)
      put(packed.qzeros.data() + group * width, 1, row * bits,
          matrix.zeros[group * rows + row] - offset, bits);
  packed.scales = matrix.scales;
  packed.g_idx.assign(matrix.group_of.begin(), matrix.group_of.end());
  return packed;
}

}  // namespace ropewalk::quantize
