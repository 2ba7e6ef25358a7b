#version 460
// attention.comp's formula for rows of a prompt on matrix cores: scores and outputs of 16 queries a subgroup.
// Grid: (heads, rows / kQueries): a workgroup takes one head of neighbouring rows, those of one sequence at a
// time. Rows that are alone in their sequence are left to attention.comp. Keys are cached as f16 or i8, rotated.
// Bottleneck: multiplications of tiles.
// A query is f16 of q / s, where s is a power of two that brings its maximum to 1: no query overflows.
//
//   tiles   (queries)     kPitch vectors each       q as f16
//           (kSpan)       kPitch vectors each       a span's keys as f16
//           (d)           kValuePitch vectors each  then in their place its values, a line a dimension
//           (queries)     kScorePitch vectors each  scores as f32; at the end the output, 16 values at a time
//           (queries)     kValuePitch vectors each  weights as f16
#extension GL_GOOGLE_include_directive : require
#include "cooperative.glsl"
#include "common.glsl"
#include "cache.glsl"
#include "round.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 256;
layout(constant_id = 6) const uint kSubgroupLanes = 64;
const uint kSpan = 32;
const uint kQueries = kLanes / kSubgroupLanes * 16;
const uint kPitch = kHeadDim / 8 + 1, kScorePitch = kSpan / 4 + 1, kValuePitch = kSpan / 8 + 1;
const uint kKeysAt = kQueries * kPitch, kKeyVectors = kSpan * kPitch;
const uint kScoresAt =
    kKeysAt + (kHeadDim * kValuePitch > kKeyVectors ? kHeadDim * kValuePitch : kKeyVectors);
const uint kWeightsAt = kScoresAt + kQueries * kScorePitch;
// RADV aligns it as the arrays end that are used before it, and its loads of 16 bytes need 16: so it is used first.
shared uvec4 tiles[kWeightsAt + kQueries * kValuePitch];
float score_at(uint r, uint j) { return uintBitsToFloat(tiles[kScoresAt + r * kScorePitch + j / 4][j % 4]); }
#include "attention.glsl"
#include "matrix.glsl"

// Below every score, and finite: a query may see no key of its tile's first span.
#define NO_SCORE -3.0e38

// Lanes share rows between them, or rows lanes: lane l has part l % kParts of kRowsOfLane rows from l / kParts
// on, kLanes / kParts apart.
const uint kRowParts = kSubgroupLanes >= 16 ? kSubgroupLanes / 16 : 1;
const uint kRowsOfLane = 16 * kRowParts / kSubgroupLanes, kRowsApart = kLanes / kRowParts;
shared float parts[kQueries * kRowParts];  // of rows: maxima, then sums
shared float row_factor[kQueries];
shared float query_scale[kQueries];
shared uint positions[kQueries];

float max_of_row(uint r) {
  float all = parts[r * kRowParts];
  for (uint p = 1; p < kRowParts; ++p) all = max(all, parts[r * kRowParts + p]);
  return all;
}

// Eight values of a row as f16, from their f32.
uvec4 halves(float value[8]) {
  uvec4 words;
  UNROLL for (uint e = 0; e < 4; ++e)
    words[e] = packFloat2x16(f16vec2(value[2 * e], value[2 * e + 1]));
  return words;
}

// The queries of `count` rows from `row` on; those behind them repeat the last.
void load_queries(uint row, uint count, uint head, uint lane) {
  const uint part = lane % kRowParts;
  for (uint r = lane / kRowParts; r < kQueries; r += kRowsApart) {
    const uint at = row + min(r, count - 1);
    if (part == 0) positions[r] = step.position.at[at];
    float maximum = 0;
    for (uint i = part; i < kHeadDim; i += kRowParts)
      maximum = with_size(maximum, q.at[(at * heads + head) * kHeadDim + i]);
    parts[r * kRowParts + part] = maximum;
  }
  barrier();
  for (uint r = lane / kRowParts; r < kQueries; r += kRowsApart) {
    const float maximum = max_of_row(r);
    const uint exponent = clamp(floatBitsToUint(maximum) >> 23, 1u, 253u);
    const float inverse = uintBitsToFloat((254 - exponent) << 23);
    if (part == 0)
      query_scale[r] = is_finite(maximum) ? uintBitsToFloat(exponent << 23) * scale : uintBitsToFloat(0x7fc00000u);
    const uint from = ((row + min(r, count - 1)) * heads + head) * kHeadDim;
    for (uint v = part; v < kHeadDim / 8; v += kRowParts) {
      float value[8];
      UNROLL for (uint e = 0; e < 8; ++e)
        value[e] = is_finite(maximum) ? q.at[from + 8 * v + e] * inverse : 0;
      tiles[r * kPitch + v] = halves(value);
    }
  }
}

// Eight values of a key from its words.
const uint kVectorWords = 8 / kElements;
uvec4 vector_of(uint word[kVectorWords]) {
  if (kElements == 2)
    return uvec4(word[0], word[1 % kVectorWords], word[2 % kVectorWords], word[3 % kVectorWords]);
  float value[8];
  UNROLL for (uint e = 0; e < 8; ++e) value[e] = element(word[e / kElements % kVectorWords], e % kElements);
  return halves(value);
}

// A line for each of a span's keys. Those behind the last repeat it: what they score is never looked at.
void load_keys(uint span, uint count, uint kv_head, uint lane) {
  for (uint n = lane; n < kSpan * (kHeadDim / 8); n += kLanes) {
    const uint key = n % kSpan, v = n / kSpan, at = min(key, count - 1);
    const uint first = page_of(span, at) + (kv_head * kHeadWords + v * kVectorWords) * kPageTokens;
    uint word[kVectorWords];
    UNROLL for (uint w = 0; w < kVectorWords; ++w)
      word[w] = keys.at[first + w * kPageTokens + entry_of(span, at)];
    tiles[kKeysAt + key * kPitch + v] = vector_of(word);
  }
}

// A line for each dimension of a span's values, each lane a word of eight keys; those behind the last are zero.
void load_values(uint span, uint count, uint kv_head, uint lane) {
  for (uint n = lane; n < kSpan / 8 * kHeadWords; n += kLanes) {
    const uint w = n % kHeadWords, v = n / kHeadWords;
    uint word[8];
    UNROLL for (uint k = 0; k < 8; ++k) {
      const uint key = 8 * v + k, at = min(key, count - 1);
      const uint entry = (kv_head * kPageTokens + entry_of(span, at)) * kHeadWords;
      word[k] = values.at[page_of(span, at) + entry + w];
    }
    UNROLL for (uint k = 0; k < 8; ++k)
      if (8 * v + k >= count) word[k] = 0;
    UNROLL for (uint e = 0; e < kElements; ++e) {
      uvec4 line;
      if (kElements == 2) {
        UNROLL for (uint p = 0; p < 4; ++p)
          line[p] = e == 0 ? word[2 * p] & 0xffffu | word[2 * p + 1] << 16
                           : word[2 * p] >> 16 | word[2 * p + 1] & 0xffff0000u;
      } else {
        float value[8];
        UNROLL for (uint k = 0; k < 8; ++k) value[k] = element(word[k], e);
        line = halves(value);
      }
      tiles[kKeysAt + (w * kElements + e) * kValuePitch + v] = line;
    }
  }
}

// Attends for `count` rows of one sequence, at most kQueries.
void attend(uint row, uint count, uint head, uint lane, uint sequence) {
  const uint kv_head = head / (heads / kv_heads);
  const uint part = lane % kRowParts, subgroup = subgroup_index();
  const uint first_span = first_key_of(step.position.at[row]) / kSpan;
  load_queries(row, count, head, lane);
  load_pages(first_span, sequence, lane);
  MatrixSum outputs[kHeadDim / 16];
  UNROLL for (uint i = 0; i < kHeadDim / 16; ++i) set_sum(outputs[i], 0.0);
  float running_max[kRowsOfLane], sum[kRowsOfLane];
  UNROLL for (uint n = 0; n < kRowsOfLane; ++n) {
    running_max[n] = NO_SCORE;
    sum[n] = 0;  // of this lane's keys
  }
  barrier();
  const uint last = positions[count - 1];

  for (uint span = first_span; span <= last / kSpan; ++span) {
    load_pages(span + 1, sequence, lane);
    const uint first = span * kSpan, keys_here = min(kSpan, last + 1 - first);
    load_keys(span, keys_here, kv_head, lane);
    barrier();

    // score
    MatrixSum scores[kSpan / 16];
    UNROLL for (uint j = 0; j < kSpan / 16; ++j) set_sum(scores[j], 0.0);
    UNROLL for (uint k = 0; k < kHeadDim / 16; ++k) {
      MatrixX x;
      load_x(x, subgroup * kEdge * kPitch + k * kEdgeVectors, kPitch);
      UNROLL for (uint j = 0; j < kSpan / 16; ++j) {
        MatrixW w;
        load_w(w, kKeysAt + j * kEdge * kPitch + k * kEdgeVectors, kPitch);
        multiply_add(x, w, scores[j]);
      }
    }
    UNROLL for (uint j = 0; j < kSpan / 16; ++j)
      store_sum(scores[j], kScoresAt + subgroup * kEdge * kScorePitch + j * (kEdge / 4), kScorePitch);
    barrier();

    // a key outside what a query sees counts as none; max of the span
    load_values(span, keys_here, kv_head, lane);
    UNROLL for (uint n = 0; n < kRowsOfLane; ++n) {
      const uint r = lane / kRowParts + n * kRowsApart;
      float span_max = NEGATIVE_INFINITY;
      for (uint j = part; j < kSpan; j += kRowParts) {
        float s = score_at(r, j) * query_scale[r];
        if (kElements == 4) {
          const uint at = min(j, keys_here - 1);
          s *= scale_of(keys, page_of(span, at), kv_head, entry_of(span, at));
        }
        const bool sees = first + j <= positions[r] && first + j >= first_key_of(positions[r]);
        s = sees ? capped(s) : NEGATIVE_INFINITY;
        tiles[kScoresAt + r * kScorePitch + j / 4][j % 4] = floatBitsToUint(s);
        span_max = max(span_max, s);
      }
      parts[r * kRowParts + part] = span_max;
    }
    barrier();

    // exponentiate scores to weights, and add them up; the running sums are scaled down to the new max
    UNROLL for (uint n = 0; n < kRowsOfLane; ++n) {
      const uint r = lane / kRowParts + n * kRowsApart;
      const float new_max = max(running_max[n], max_of_row(r));
      const float keep = exp(running_max[n] - new_max);
      running_max[n] = new_max;
      sum[n] *= keep;
      if (part == 0) row_factor[r] = keep;
      for (uint pair = part; pair < kSpan / 2; pair += kRowParts) {
        float weight[2];
        UNROLL for (uint e = 0; e < 2; ++e) {
          const uint j = 2 * pair + e;
          weight[e] = exp(score_at(r, j) - new_max);
          sum[n] += weight[e];
          if (kElements == 4) {
            const uint at = min(j, keys_here - 1);
            weight[e] *= scale_of(values, page_of(span, at), kv_head, entry_of(span, at));
          }
        }
        tiles[kWeightsAt + r * kValuePitch + pair / 4][pair % 4] =
            packFloat2x16(f16vec2(weight[0], weight[1]));
      }
    }
    barrier();

    // add up weighted values
    MatrixSum factor;
    load_by_row(factor, row_factor, subgroup * kEdge);
    MatrixX weights[kSpan / 16];
    UNROLL for (uint k = 0; k < kSpan / 16; ++k)
      load_x(weights[k], kWeightsAt + subgroup * kEdge * kValuePitch + k * kEdgeVectors, kValuePitch);
    UNROLL for (uint i = 0; i < kHeadDim / 16; ++i) {
      scale_sum(outputs[i], factor);
      UNROLL for (uint k = 0; k < kSpan / 16; ++k) {
        MatrixW w;
        load_w(w, kKeysAt + i * kEdge * kValuePitch + k * kEdgeVectors, kValuePitch);
        multiply_add(weights[k], w, outputs[i]);
      }
    }
    barrier();
  }

  // share the lanes' sums
  UNROLL for (uint n = 0; n < kRowsOfLane; ++n)
    parts[(lane / kRowParts + n * kRowsApart) * kRowParts + part] = sum[n];
  // divide and store, 16 elements of each query at a time
  UNROLL for (uint i = 0; i < kHeadDim / 16; ++i) {
    store_sum(outputs[i], kScoresAt + subgroup * kEdge * kScorePitch, kScorePitch);
    barrier();
    for (uint n = lane; n < count * 16; n += kLanes) {
      const uint r = n / 16, c = n % 16, at = (row + r) * heads + head;
      float all = parts[r * kRowParts];
      for (uint p = 1; p < kRowParts; ++p) all += parts[r * kRowParts + p];
      const float result = score_at(r, c) / all;
      if (kWritesY != 0)
        y.at[at * kHeadDim + i * 16 + c] = result;
      else
        partial.at[at * (2 + kHeadDim) + 2 + i * 16 + c] = result;
    }
    barrier();
  }
  // There is one split and it is divided already: attention_combine.comp only reorders.
  if (kWritesY == 0)
    for (uint r = lane; r < count; r += kLanes) {
      const uint at = ((row + r) * heads + head) * (2 + kHeadDim);
      partial.at[at] = 0;
      partial.at[at + 1] = 1;
    }
}

void main() {
  const uint head = gl_WorkGroupID.x, lane = gl_LocalInvocationID.x;
  const uint begin = first_row + gl_WorkGroupID.y * kQueries;
  const uint end = min(begin + kQueries, step.prompt_rows);
  // rows of one sequence at a time
  for (uint row = begin; row < end;) {
    const uint sequence = step.sequence.at[row];
    uint count = 1;
    while (row + count < end && step.sequence.at[row + count] == sequence) ++count;
    attend(row, count, head, lane, sequence);
    row += count;
  }
}
