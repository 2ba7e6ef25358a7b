// Groups of a packed weight (pack.h), and a group's scale and zero. REQUIRES: blocks_per_group, among the push
// constants.
//
//   kScales   0  f16 with its zero in one word    2, 3  f16 by pairs of groups, packed zeros from 0 or 1 on
//             1  f32, two words                   4 ..  f16 by pairs of groups, every zero is kScales - 4
layout(constant_id = 6) const uint kScales = 0;
layout(constant_id = 8) const uint kGroupBlocks = 0;  // blocks_per_group; 0: known only at run time
const uint kOneGroup = ~0u;                           // of kGroupBlocks
const bool kPairedScales = kScales >= 2, kPackedZeros = kScales == 2 || kScales == 3;

// A division by a constant costs a shift, by a value of run time some twenty instructions.
uint group_of(uint block) {
  if (kGroupBlocks == kOneGroup) return 0;
  return block / (kGroupBlocks != 0 ? kGroupBlocks : blocks_per_group);
}

// The rows of words that have a group's scale, and its zero where zeros are packed.
uint scale_row(uint group) {
  if (kPackedZeros) return group / 8 * 5 + group % 8 / 2;
  return kPairedScales ? group / 2 : kScales == 1 ? 2 * group : group;
}
uint zero_row(uint group) { return group / 8 * 5 + 4; }

// Scale and zero of a group from its words.
vec2 scale_and_zero(uint scale_word, uint zero_word, uint group) {
  if (!kPairedScales)
    return kScales == 1 ? uintBitsToFloat(uvec2(scale_word, zero_word)) : unpackHalf2x16(scale_word);
  const vec2 scale = unpackHalf2x16(scale_word);
  const uint zero = kPackedZeros ? (zero_word >> group % 8 * 4 & 15u) + kScales - 2 : kScales - 4;
  return vec2((group & 1) == 0 ? scale.x : scale.y, float(zero));
}
