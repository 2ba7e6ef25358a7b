#version 460
// w = softmax(q . k[j] * scale) over the keys j up to p that the window leaves, soft-capped before the
// softmax; o = sum of w[j] * v[j]. Online softmax: span by span, the maximum, the sum and the output of a
// span of keys are folded into the running ones.
// Grid: (heads, rows, splits): a workgroup takes one head of one row and the spans of its split;
// attention_combine.comp joins the splits. Where a program also has attention_tile.comp, that takes the
// rows of prompts. Bottleneck: the memory that keys and values stream from.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "cache.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 32;
#include "attention.glsl"

shared float query[kHeadDim];
shared float score[kSpan];
shared float lane_max[kLanes];  // later the lanes' sums
shared float outputs[kParts * kHeadDim];

const uint kValuesAtOnce = 8 / kWordsPerLane > 1 ? 8 / kWordsPerLane : 1;

// q . k for each of these keys, whose first words are at `base`; later ones are kPageTokens words apart.
void dot_keys(uint base[kKeysAtOnce], uint key, uint sequence, out float sum[kKeysAtOnce]) {
  [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) sum[k] = 0;
  for (uint w = 0; w < kHeadWords / 2; ++w) {
    // A rotation pairs a word with the one half a head later; without it neighbours are as good.
    const uint first = kOnRead != 0 ? w : 2 * w;
    const uint second = kOnRead != 0 ? w + kHeadWords / 2 : 2 * w + 1;
    uvec2 word[kKeysAtOnce];  // all loads are issued before the first is used
    [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k)
      word[k] = uvec2(keys.at[base[k] + first * kPageTokens],
                      keys.at[base[k] + second * kPageTokens]);
    [[unroll]] for (uint e = 0; e < kElements; ++e) {
      const vec2 q_pair = vec2(query[first * kElements + e], query[second * kElements + e]);
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        vec2 pair = vec2(element(word[k].x, e), element(word[k].y, e));
        if (kOnRead != 0) pair = rotated(pair, first * kElements + e, key, sequence);
        sum[k] = fma(q_pair.y, pair.y, fma(q_pair.x, pair.x, sum[k]));
      }
    }
  }
}

void main() {
  const uint head = gl_WorkGroupID.x, lane = gl_LocalInvocationID.x;
  const uint begin = after_prompts != 0 ? step.prompt_rows : 0;
  const uint index = first_row + gl_WorkGroupID.y, row = begin + index;
  if (row >= step.rows) return;
  const uint position = step.position.at[row], sequence = step.sequence.at[row];
  const uint kv_head = head / (heads / kv_heads);
  const uint first_key = first_key_of(position);
  const uint begin_span = first_key / kSpan, end_span = position / kSpan + 1;
  const uint spans_per_split = (end_span - begin_span + splits - 1) / splits;
  const uint first_span = begin_span + gl_WorkGroupID.z * spans_per_split;
  const uint last_span = min(first_span + spans_per_split, end_span);

  // load the query, scaled, and rotated where the cached keys are not
  const uint from = (row * heads + head) * kHeadDim;
  for (uint i = lane; i < kHeadDim / 2; i += kLanes) {
    vec2 pair = vec2(q.at[from + i], q.at[from + i + kHeadDim / 2]);
    if (kOnRead != 0) pair = rotated(pair, i, position, sequence);
    query[i] = pair.x * scale;
    query[i + kHeadDim / 2] = pair.y * scale;
  }
  load_pages(first_span, sequence, lane);
  barrier();

  const uint part = lane / kLanesPerValue, lane_in_value = lane % kLanesPerValue;
  float running_max = NEGATIVE_INFINITY, sum = 0;  // sum: of this lane's keys
  float output_part[kWordsPerLane * kElements];
  [[unroll]] for (uint i = 0; i < kWordsPerLane * kElements; ++i) output_part[i] = 0;

  for (uint span = first_span; span < last_span; ++span) {
    load_pages(span + 1, sequence, lane);
    const uint begin_key = max(first_key, span * kSpan) - span * kSpan;
    const uint count = min(kSpan, position + 1 - span * kSpan);

    // score the span's keys
    float span_max = NEGATIVE_INFINITY;
    for (uint j = begin_key + lane; j < count; j += kLanes * kKeysAtOnce) {
      uint base[kKeysAtOnce];
      float s[kKeysAtOnce];
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        const uint at = min(j + k * kLanes, count - 1);
        base[k] = page_of(span, at) + kv_head * kHeadWords * kPageTokens + at % kPageTokens;
      }
      dot_keys(base, span * kSpan + j, sequence, s);
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        const uint at = j + k * kLanes;
        if (at >= count) continue;
        if (kElements == 4) s[k] *= scale_of(keys, page_of(span, at), kv_head, at % kPageTokens);
        s[k] = capped(s[k]);
        score[at] = s[k];
        span_max = max(span_max, s[k]);
      }
    }
    lane_max[lane] = span_max;
    barrier();

    // max over the workgroup; scale the running sum down to it
    span_max = running_max;
    for (uint i = 0; i < kLanes; ++i) span_max = max(span_max, lane_max[i]);
    const float keep = exp(running_max - span_max);
    running_max = span_max;
    sum *= keep;

    // exponentiate scores to weights, and add them up
    for (uint j = begin_key + lane; j < count; j += kLanes) {
      const float weight = exp(score[j] - running_max);
      sum += weight;
      score[j] = weight;
      if (kElements == 4)
        score[j] *= scale_of(values, page_of(span, j), kv_head, j % kPageTokens);
    }
    barrier();

    // add up weighted values: neighbouring lanes take neighbouring words, parts take other keys
    [[unroll]] for (uint i = 0; i < kWordsPerLane * kElements; ++i) output_part[i] *= keep;
    if (part < kParts) {
      for (uint j = begin_key + part; j < count; j += kParts * kValuesAtOnce) {
        uint word[kValuesAtOnce * kWordsPerLane];
        float weight[kValuesAtOnce];
        [[unroll]] for (uint k = 0; k < kValuesAtOnce; ++k) {
          const uint at = min(j + k * kParts, count - 1);
          const uint entry = page_of(span, at) +
                             (kv_head * kPageTokens + at % kPageTokens) * kHeadWords;
          weight[k] = j + k * kParts < count ? score[at] : 0;
          [[unroll]] for (uint i = 0; i < kWordsPerLane; ++i) {
            const uint w = min(i * kLanesPerValue + lane_in_value, kHeadWords - 1);
            word[k * kWordsPerLane + i] = values.at[entry + w];
          }
        }
        [[unroll]] for (uint k = 0; k < kValuesAtOnce; ++k)
          [[unroll]] for (uint i = 0; i < kWordsPerLane * kElements; ++i)
            output_part[i] = fma(weight[k], element(word[k * kWordsPerLane + i / kElements], i % kElements),
                              output_part[i]);
      }
    }
    barrier();
  }

  // share the lanes' sums and the parts' outputs
  lane_max[lane] = sum;
  if (part < kParts)
    [[unroll]] for (uint i = 0; i < kWordsPerLane; ++i) {
      const uint w = i * kLanesPerValue + lane_in_value;
      if (w < kHeadWords)
        [[unroll]] for (uint e = 0; e < kElements; ++e)
          outputs[part * kHeadDim + w * kElements + e] = output_part[i * kElements + e];
    }
  barrier();

  // sum over the workgroup, in the order of the lanes
  sum = 0;
  for (uint i = 0; i < kLanes; ++i) sum += lane_max[i];

  // add up the parts and store
  const uint to = ((index * heads + head) * splits + gl_WorkGroupID.z) * (2 + kHeadDim);
  for (uint i = lane; i < kHeadDim; i += kLanes) {
    float o = 0;
    for (uint s = 0; s < kParts; ++s) o += outputs[s * kHeadDim + i];
    if (kWritesY != 0)
      y.at[from + i] = o / sum;
    else
      partial.at[to + 2 + i] = o;
  }
  if (kWritesY == 0 && lane == 0) {
    partial.at[to] = running_max;
    partial.at[to + 1] = sum;
  }
}
