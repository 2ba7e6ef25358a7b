#version 460
// w = softmax(q . k[j] * scale) over keys j in [0, p]; o = sum of w[j] * v[j]: page by page, each page's
// maximum, sum and output folded into the running ones.
// Grid: (heads, rows, splits): a workgroup takes one head of one row and the pages of its split, which
// attention_combine.comp folds together. Bottleneck: the memory that keys and values stream from.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "cache.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 32;
#include "attention.glsl"

shared float query[kHeadDim];
shared float score[kPageTokens];
shared float maxima[kLanes];
shared float outputs[kParts * kHeadDim];

// q . k for the key whose first word is `base`; later ones are 256 words apart.
float dot_key(uint base, uint key, uint sequence) {
  float sum = 0;
  if (kOnRead != 0) {
    for (uint w = 0; w < kHeadWords / 2; ++w) {
      const uint low = keys.at[base + w * kPageTokens];
      const uint high = keys.at[base + (w + kHeadWords / 2) * kPageTokens];
      for (uint e = 0; e < kElements; ++e) {
        const uint i = w * kElements + e;
        const vec2 pair = rotated(vec2(element(low, e), element(high, e)), i, key, sequence);
        sum = fma(query[i], pair.x, sum);
        sum = fma(query[i + kHeadDim / 2], pair.y, sum);
      }
    }
  } else {
    for (uint w = 0; w < kHeadWords; ++w) {
      const uint word = keys.at[base + w * kPageTokens];
      for (uint e = 0; e < kElements; ++e)
        sum = fma(query[w * kElements + e], element(word, e), sum);
    }
  }
  return sum;
}

void main() {
  const uint head = gl_WorkGroupID.x, lane = gl_LocalInvocationID.x;
  const uint row = first_row + gl_WorkGroupID.y;
  if (row >= step.rows) return;
  const uint position = step.position.at[row], sequence = step.sequence.at[row];
  const uint kv_head = head / (heads / kv_heads);
  const uint pages = position / kPageTokens + 1;
  const uint share = (pages + splits - 1) / splits;
  const uint first_page = gl_WorkGroupID.z * share;
  const uint last_page = min(first_page + share, pages);

  const uint from = (row * heads + head) * kHeadDim;
  for (uint i = lane; i < kHeadDim / 2; i += kLanes) {
    vec2 pair = vec2(q.at[from + i], q.at[from + i + kHeadDim / 2]);
    if (kOnRead != 0) pair = rotated(pair, i, position, sequence);
    query[i] = pair.x * scale;
    query[i + kHeadDim / 2] = pair.y * scale;
  }
  barrier();

  const uint part = lane / kLanesOfValue, lane_of_value = lane % kLanesOfValue;
  float maximum = uintBitsToFloat(0xff800000u), sum = 0;  // sum: of this lane's keys
  float gathered[kWordsOfLane * kElements];
  for (uint i = 0; i < kWordsOfLane * kElements; ++i) gathered[i] = 0;

  for (uint p = first_page; p < last_page; ++p) {
    const uint page = step.page.at[sequence * step.pages_per_sequence + p] * page_words(kv_heads);
    const uint count = min(kPageTokens, position + 1 - p * kPageTokens);
    float most = uintBitsToFloat(0xff800000u);
    for (uint j = lane; j < count; j += kLanes) {
      float s = dot_key(page + kv_head * kHeadWords * kPageTokens + j, p * kPageTokens + j, sequence);
      if (kElements == 4) s *= scale_of(keys, page, kv_head, j);
      score[j] = s;
      most = max(most, s);
    }
    maxima[lane] = most;
    barrier();
    most = maximum;
    for (uint i = 0; i < kLanes; ++i) most = max(most, maxima[i]);
    const float keep = exp(maximum - most);
    maximum = most;
    sum *= keep;
    for (uint j = lane; j < count; j += kLanes) {
      const float weight = exp(score[j] - maximum);
      sum += weight;
      score[j] = kElements == 4 ? weight * scale_of(values, page, kv_head, j) : weight;
    }
    barrier();
    for (uint i = 0; i < kWordsOfLane * kElements; ++i) gathered[i] *= keep;
    if (part < kParts) {
      for (uint j = part; j < count; j += kParts) {
        const float weight = score[j];
        for (uint i = 0; i < kWordsOfLane; ++i) {
          const uint w = i * kLanesOfValue + lane_of_value;
          if (w < kHeadWords) {
            const uint word = values.at[page + (kv_head * kPageTokens + j) * kHeadWords + w];
            for (uint e = 0; e < kElements; ++e)
              gathered[i * kElements + e] =
                  fma(weight, element(word, e), gathered[i * kElements + e]);
          }
        }
      }
    }
    barrier();
  }

  maxima[lane] = sum;
  if (part < kParts)
    for (uint i = 0; i < kWordsOfLane; ++i) {
      const uint w = i * kLanesOfValue + lane_of_value;
      if (w < kHeadWords)
        for (uint e = 0; e < kElements; ++e)
          outputs[part * kHeadDim + w * kElements + e] = gathered[i * kElements + e];
    }
  barrier();
  sum = 0;
  for (uint i = 0; i < kLanes; ++i) sum += maxima[i];
  const uint to = ((row * heads + head) * splits + gl_WorkGroupID.z) * (2 + kHeadDim);
  for (uint i = lane; i < kHeadDim; i += kLanes) {
    float o = 0;
    for (uint s = 0; s < kParts; ++s) o += outputs[s * kHeadDim + i];
    if (kWhole != 0)
      y.at[from + i] = o / sum;
    else
      partial.at[to + 2 + i] = o;
  }
  if (kWhole == 0 && lane == 0) {
    partial.at[to] = maximum;
    partial.at[to + 1] = sum;
  }
}
