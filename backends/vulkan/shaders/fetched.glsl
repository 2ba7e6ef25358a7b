// A block of W on its way from memory into a workgroup's tile, unpacked to f16 or f32 (weights.glsl).
// REQUIRES: kTileColumns; kThreads, which fetch a block together.

// A thread's columns as they lie in memory, kThreads apart.
const uint kFetched = (kTileColumns + kThreads - 1) / kThreads;
struct Fetched {
  uint word[kFetched][kBlockWords];
  uvec2 scale[kFetched];  // its words: to unpack them would wait for them
};

void fetch_w(uint block, uint thread, uint first_column, out Fetched fetched) {
  [[unroll]] for (uint i = 0; i < kFetched; ++i) {
    const uint column = min(first_column + thread + i * kThreads, width - 1);
    load_words(block, column, fetched.word[i]);
    fetched.scale[i] = kQuantised ? load_scale_words(block, column) : uvec2(0);
  }
}

vec2 fetched_scale(Fetched fetched, uint i, uint block) {
  return kQuantised ? scale_from(fetched.scale[i], block) : vec2(1, 0);
}
// Pair `p` of a fetched column, without the scale.
Pair fetched_pair(Fetched fetched, uint i, uint p, float zero) { return pair_of(fetched.word[i], p) - Pair(zero); }
