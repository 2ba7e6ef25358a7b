#version 460
// attention.comp's formula for kQueries rows at a time: rows of a prompt, which share each key and value
// that is loaded.
// Grid: (heads, rows / kQueries, 1): a workgroup takes one head of neighbouring rows, those of one
// sequence at a time. Rows that are alone in their sequence are left to attention.comp. Bottleneck:
// multiply-adds.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"
#include "cache.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 32;
layout(constant_id = 6) const uint kQueries = 8;  // a multiple of 4
const uint kSpan = 256;
#include "attention.glsl"

// Below every score, and finite: a query may see no key of its tile's first span.
#define NO_SCORE -3.0e38

// Keys that a lane multiplies together, so that a query is read once for all of them. One where keys
// are rotated here: the rotation is then most of the work.
const uint kKeysAtOnce = kOnRead != 0 ? 1 : 4;
const bool kInOnePage = kLanes * kKeysAtOnce <= kPageTokens;  // those keys, of all lanes

const uint kFours = kQueries / 4;

shared vec4 query[kHeadDim * kFours];  // (d, queries)
shared vec4 score[kSpan * kFours];  // (keys, queries); at the end (parts, d, queries)
shared vec4 lane_max[kLanes * kFours];  // later the lanes' sums
shared uint positions[kQueries];

// Scores of these keys for all queries; their first words are at `base`, later ones are kPageTokens words
// apart.
void dot_keys(uint base[kKeysAtOnce], uint key, uint sequence,
              out vec4 sum[kKeysAtOnce][kFours]) {
  [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k)
    [[unroll]] for (uint f = 0; f < kFours; ++f) sum[k][f] = vec4(0);
  for (uint w = 0; w < kHeadWords / 2; ++w) {
    // A rotation pairs a word with the one half a head later; without it neighbours are as good.
    const uint first = kOnRead != 0 ? w : 2 * w;
    const uint second = kOnRead != 0 ? w + kHeadWords / 2 : 2 * w + 1;
    uvec2 word[kKeysAtOnce];  // all loads are issued before the first is used
    [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k)
      word[k] = uvec2(keys.at[base[k] + first * kPageTokens],
                      keys.at[base[k] + second * kPageTokens]);
    [[unroll]] for (uint e = 0; e < kElements; ++e) {
      const uint i = first * kElements + e, j = second * kElements + e;
      vec2 pair[kKeysAtOnce];
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        pair[k] = vec2(element(word[k].x, e), element(word[k].y, e));
        if (kOnRead != 0) pair[k] = rotated(pair[k], i, key, sequence);
      }
      [[unroll]] for (uint f = 0; f < kFours; ++f) {
        const vec4 low = query[i * kFours + f], high = query[j * kFours + f];
        [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k)
          sum[k][f] = fma(high, vec4(pair[k].y), fma(low, vec4(pair[k].x), sum[k][f]));
      }
    }
  }
}

// Loads the queries of `count` rows from `row` on, scaled; the rest of the tile is zero.
void load_queries(uint row, uint count, uint head, uint lane, uint sequence) {
  for (uint i = lane; i < kQueries; i += kLanes)
    positions[i] = step.position.at[row + min(i, count - 1)];
  for (uint i = lane; i < kHeadDim / 2; i += kLanes) {
    [[unroll]] for (uint f = 0; f < kFours; ++f) {
      vec4 low = vec4(0), high = vec4(0);
      [[unroll]] for (uint c = 0; c < 4; ++c) {
        const uint at = row + min(4 * f + c, count - 1);
        const uint from = (at * heads + head) * kHeadDim + i;
        vec2 pair = vec2(q.at[from], q.at[from + kHeadDim / 2]);
        if (kOnRead != 0) pair = rotated(pair, i, step.position.at[at], sequence);
        low[c] = pair.x * scale;
        high[c] = pair.y * scale;
      }
      query[i * kFours + f] = low;
      query[(i + kHeadDim / 2) * kFours + f] = high;
    }
  }
}

// Adds up the parts, divides by the sum and stores `count` rows.
void store(uint row, uint count, uint head, uint lane, vec4 sum[kFours]) {
  for (uint i = lane; i < kHeadDim; i += kLanes) {
    [[unroll]] for (uint f = 0; f < kFours; ++f) {
      vec4 o = vec4(0);
      for (uint p = 0; p < kParts; ++p) o += score[(p * kHeadDim + i) * kFours + f];
      [[unroll]] for (uint c = 0; c < 4; ++c) {
        const uint at = (row + 4 * f + c) * heads + head;
        if (4 * f + c >= count) continue;
        if (kWritesY != 0)
          y.at[at * kHeadDim + i] = o[c] / sum[f][c];
        else
          partial.at[at * (2 + kHeadDim) + 2 + i] = o[c] / sum[f][c];
      }
    }
  }
  // There is one split and it is divided already: attention_combine.comp only reorders.
  if (kWritesY == 0)
    for (uint r = lane; r < count; r += kLanes) {
      const uint at = ((row + r) * heads + head) * (2 + kHeadDim);
      partial.at[at] = 0;
      partial.at[at + 1] = 1;
    }
}

// Attends for `count` rows of one sequence, at most kQueries.
void attend(uint row, uint count, uint head, uint lane, uint sequence) {
  const uint kv_head = head / (heads / kv_heads);
  const uint part = lane / kLanesPerValue, lane_in_value = lane % kLanesPerValue;
  const uint first_span = first_key_of(step.position.at[row]) / kSpan;
  load_queries(row, count, head, lane, sequence);
  load_pages(first_span, sequence, lane);
  barrier();
  const uint last = positions[count - 1];
  uvec4 position[kFours];
  [[unroll]] for (uint f = 0; f < kFours; ++f)
    [[unroll]] for (uint c = 0; c < 4; ++c) position[f][c] = positions[4 * f + c];
  vec4 running_max[kFours], sum[kFours];
  [[unroll]] for (uint f = 0; f < kFours; ++f) {
    running_max[f] = vec4(NO_SCORE);
    sum[f] = vec4(0);  // of this lane's keys
  }
  vec4 output_part[kWordsPerLane * kElements * kFours];
  [[unroll]] for (uint i = 0; i < kWordsPerLane * kElements * kFours; ++i) output_part[i] = vec4(0);

  for (uint span = first_span; span <= last / kSpan; ++span) {
    load_pages(span + 1, sequence, lane);
    const uint first = span * kSpan, keys_here = min(kSpan, last + 1 - first);

    // score the span's keys for all queries; a key outside what a query sees counts as none
    vec4 span_max[kFours];
    [[unroll]] for (uint f = 0; f < kFours; ++f) span_max[f] = vec4(NEGATIVE_INFINITY);
    for (uint j = lane; j < keys_here; j += kLanes * kKeysAtOnce) {
      const uint page = page_of(span, j);
      uint base[kKeysAtOnce];
      vec4 s[kKeysAtOnce][kFours];
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        const uint at = min(j + k * kLanes, keys_here - 1);
        base[k] = (kInOnePage ? page : page_of(span, at)) + kv_head * kHeadWords * kPageTokens + at % kPageTokens;
      }
      dot_keys(base, first + j, sequence, s);
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        const uint at = j + k * kLanes;
        if (at >= keys_here) continue;
        const float key_scale =
            kElements == 4 ? scale_of(keys, page_of(span, at), kv_head, at % kPageTokens) : 1;
        [[unroll]] for (uint f = 0; f < kFours; ++f) {
          if (kElements == 4) s[k][f] *= key_scale;
          [[unroll]] for (uint c = 0; c < 4; ++c) {
            const bool sees = first + at <= position[f][c] && first + at >= first_key_of(position[f][c]);
            s[k][f][c] = sees ? capped(s[k][f][c]) : NEGATIVE_INFINITY;
          }
          score[at * kFours + f] = s[k][f];
          span_max[f] = max(span_max[f], s[k][f]);
        }
      }
    }
    [[unroll]] for (uint f = 0; f < kFours; ++f) lane_max[lane * kFours + f] = span_max[f];
    barrier();

    // max over the workgroup; scale the running sums down to it
    vec4 keep[kFours];
    [[unroll]] for (uint f = 0; f < kFours; ++f) {
      span_max[f] = running_max[f];
      for (uint i = 0; i < kLanes; ++i) span_max[f] = max(span_max[f], lane_max[i * kFours + f]);
      keep[f] = exp(running_max[f] - span_max[f]);
      running_max[f] = span_max[f];
      sum[f] *= keep[f];
    }

    // exponentiate scores to weights, and add them up
    for (uint j = lane; j < keys_here; j += kLanes) {
      const float value_scale =
          kElements == 4 ? scale_of(values, page_of(span, j), kv_head, j % kPageTokens) : 1;
      [[unroll]] for (uint f = 0; f < kFours; ++f) {
        const vec4 weight = exp(score[j * kFours + f] - running_max[f]);
        sum[f] += weight;
        score[j * kFours + f] = weight * value_scale;
      }
    }
    barrier();

    // add up weighted values: neighbouring lanes take neighbouring words, parts take other keys
    [[unroll]] for (uint i = 0; i < kWordsPerLane * kElements; ++i)
      [[unroll]] for (uint f = 0; f < kFours; ++f) output_part[i * kFours + f] *= keep[f];
    for (uint begin = 0; part < kParts && begin < keys_here; begin += kPageTokens) {
      const uint page = page_of(span, begin) + kv_head * kPageTokens * kHeadWords;
      const uint end = min(begin + kPageTokens, keys_here);
      for (uint j = begin + part; j < end; j += kParts) {
        const uint entry = page + j % kPageTokens * kHeadWords;
        vec4 weight[kFours];
        [[unroll]] for (uint f = 0; f < kFours; ++f) weight[f] = score[j * kFours + f];
        [[unroll]] for (uint i = 0; i < kWordsPerLane; ++i) {
          const uint w = min(i * kLanesPerValue + lane_in_value, kHeadWords - 1);
          const uint word = values.at[entry + w];
          [[unroll]] for (uint e = 0; e < kElements; ++e)
            [[unroll]] for (uint f = 0; f < kFours; ++f)
              output_part[(i * kElements + e) * kFours + f] = fma(
                  weight[f], vec4(element(word, e)), output_part[(i * kElements + e) * kFours + f]);
        }
      }
    }
    barrier();
  }

  // share the lanes' sums and the parts' outputs
  [[unroll]] for (uint f = 0; f < kFours; ++f) lane_max[lane * kFours + f] = sum[f];
  [[unroll]] for (uint i = 0; i < kWordsPerLane; ++i) {
    const uint w = i * kLanesPerValue + lane_in_value;
    if (part < kParts && w < kHeadWords)
      [[unroll]] for (uint e = 0; e < kElements; ++e)
        [[unroll]] for (uint f = 0; f < kFours; ++f)
          score[(part * kHeadDim + w * kElements + e) * kFours + f] =
              output_part[(i * kElements + e) * kFours + f];
  }
  barrier();

  // sum over the workgroup, in the order of the lanes
  [[unroll]] for (uint f = 0; f < kFours; ++f) {
    sum[f] = vec4(0);
    for (uint i = 0; i < kLanes; ++i) sum[f] += lane_max[i * kFours + f];
  }
  store(row, count, head, lane, sum);
  barrier();
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
