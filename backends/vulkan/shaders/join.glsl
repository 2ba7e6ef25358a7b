// The splits of an attention joined: scaled down to their common maximum and added up in their order, whoever does it.
// REQUIRES: PARTIALS, the type of their buffer, (splits, 2 + kHeadDim) maximum, sum, output; kHeadDim.
const uint kPartial = 2 + kHeadDim;

// Elements of a head of which each lane joins every kJoinApart-th, and the splits that it loads before it uses the
// first; at once 1: there is one split. REQUIRES: kJoinElements, kJoinApart, kJoinAtOnce.
void join(PARTIALS partial, uint from, uint parts, uint element, out float result[kJoinElements]) {
  float maximum = NEGATIVE_INFINITY, sum = 0;  // of the splits so far
  [[unroll]] for (uint e = 0; e < kJoinElements; ++e) result[e] = 0;
  for (uint first = 0; first < parts; first += kJoinAtOnce) {
    vec2 part[kJoinAtOnce];  // maximum, sum
    float part_output[kJoinAtOnce][kJoinElements];
    [[unroll]] for (uint n = 0; n < kJoinAtOnce; ++n) {
      const uint at = from + min(first + n, parts - 1) * kPartial;
      part[n] = vec2(partial.at[at], partial.at[at + 1]);
      [[unroll]] for (uint e = 0; e < kJoinElements; ++e)
        part_output[n][e] = partial.at[at + 2 + min(element + e * kJoinApart, kHeadDim - 1)];
    }
    float higher = maximum;
    [[unroll]] for (uint n = 0; n < kJoinAtOnce; ++n) higher = max(higher, part[n].x);
    const float keep = exp(maximum - higher);
    maximum = higher;
    sum *= keep;
    [[unroll]] for (uint e = 0; e < kJoinElements; ++e) result[e] *= keep;
    [[unroll]] for (uint n = 0; n < kJoinAtOnce; ++n) {
      const float weight = first + n < parts ? exp(part[n].x - maximum) : 0;
      sum = fma(part[n].y, weight, sum);
      [[unroll]] for (uint e = 0; e < kJoinElements; ++e) result[e] = fma(part_output[n][e], weight, result[e]);
    }
  }
  [[unroll]] for (uint e = 0; e < kJoinElements; ++e) result[e] /= sum;
}
