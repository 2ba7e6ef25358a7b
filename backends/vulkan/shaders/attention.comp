#version 460
// w = softmax(q . k[j] * scale) over the keys j up to p that the window leaves, soft-capped before the
// softmax; o = sum of w[j] * v[j]. Online softmax: span by span, the maximum, the sum and the output of a
// span of keys are folded into the running ones.
// Grid: (heads, rows, splits): a workgroup takes one head of one row and the spans of keys of its split
// (splits.glsl); attention_combine.comp joins the splits, or with JOINED the last workgroup of a head and row
// does. Where a program also has attention_tile.comp, that takes the rows of prompts. Bottleneck: the memory that
// keys and values stream from.
// With WIDE addresses are 64-bit numbers, the same for a workgroup but for an offset of 32 bits, and maxima
// and sums are the subgroups'.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef JOINED
#define WIDE
#endif
#ifdef WIDE
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "common.glsl"
#ifdef JOINED
#include "last.glsl"
#define PARTIALS SharedFloats
#endif
#include "cache.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint kLanes = 32;
layout(constant_id = 6) const uint kSpan = 256;  // keys that are scored at a time
#include "attention.glsl"
#include "splits.glsl"
#ifdef JOINED
layout(constant_id = 9) const uint kJoinAtOnce = 1;
const uint kJoinElements = (kHeadDim + kLanes - 1) / kLanes, kJoinApart = kLanes;
#include "join.glsl"
#endif

shared float query[kHeadDim];
shared float score[kSpan];
shared float lane_max[kLanes];  // later the lanes' sums
shared float outputs[kParts * kHeadDim];

// Short spans give each lane one key, long ones several, so that a query is read once for all of them. One
// where keys are rotated here: the rotation is then most of the work.
const bool kShortSpans = kSpan <= kLanes;
const uint kKeysAtOnce = kOnRead != 0 || kShortSpans ? 1 : 4;
// Pairs of a key's words, and words of values, that a lane loads before it uses the first.
const uint kPairsAtOnce = kShortSpans ? 8 : 1;
const uint kWordsAtOnce = kShortSpans ? 16 : 8;
const uint kValuesAtOnce = kWordsAtOnce / kWordsPerLane > 1 ? kWordsAtOnce / kWordsPerLane : 1;

// The word `all` + `lane` of a cache. `all` is the same for a workgroup. Where a span has one page, so is the
// page, and `lane` a part of it; else `lane` has the page too.
uint word_at(Words cache, uint all, uint lane) {
#ifdef WIDE
  const uint64_t base = uint64_t(cache) + uint64_t(all) * 4;
  return Word(kPagesOfSpan == 1 ? base + lane * 4 : base + uint64_t(lane) * 4).of;
#else
  return cache.at[all + lane];
#endif
}

// The page of key `at` of a span; `page`: the span's, where it has one.
uint key_page(uint page, uint span, uint at) { return kPagesOfSpan == 1 ? page : page_of(span, at); }

// The maximum or the sum over the workgroup, always in the same order.
float workgroup_max(float value, uint lane) {
#ifdef WIDE
  value = subgroupMax(value);
  if (gl_NumSubgroups == 1) return value;
  if (subgroupElect()) lane_max[gl_SubgroupID] = value;
  const uint parts = gl_NumSubgroups;
#else
  lane_max[lane] = value;
  const uint parts = kLanes;
#endif
  barrier();
  for (uint i = 0; i < parts; ++i) value = max(value, lane_max[i]);
  return value;
}
float workgroup_sum(float value, uint lane) {
#ifdef WIDE
  value = subgroupAdd(value);
  if (gl_NumSubgroups == 1) return value;
  if (subgroupElect()) lane_max[gl_SubgroupID] = value;
  const uint parts = gl_NumSubgroups;
#else
  lane_max[lane] = value;
  const uint parts = kLanes;
#endif
  barrier();
  value = 0;
  for (uint i = 0; i < parts; ++i) value += lane_max[i];
  return value;
}

// q . k for each of these keys. Word w of one is word `all` + kPageTokens w + `lane[k]` of the cache.
void dot_keys(uint all, uint lane[kKeysAtOnce], uint key, uint sequence, out float sum[kKeysAtOnce]) {
  [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) sum[k] = 0;
  const uint pairs = kHeadWords / 2;
  for (uint begin = 0; begin < pairs; begin += kPairsAtOnce) {
    // load. A rotation pairs a word with the one half a head later; without it neighbours are as good
    uvec2 word[kPairsAtOnce][kKeysAtOnce];
    [[unroll]] for (uint p = 0; p < kPairsAtOnce; ++p) {
      const uint w = min(begin + p, pairs - 1);
      const uint first = kOnRead != 0 ? w : 2 * w, second = kOnRead != 0 ? w + pairs : 2 * w + 1;
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k)
        word[p][k] = uvec2(word_at(keys, all + first * kPageTokens, lane[k]),
                           word_at(keys, all + second * kPageTokens, lane[k]));
    }
    // multiply
    [[unroll]] for (uint p = 0; p < kPairsAtOnce; ++p) {
      const uint w = begin + p;
      if (w >= pairs) break;
      const uint first = kOnRead != 0 ? w : 2 * w, second = kOnRead != 0 ? w + pairs : 2 * w + 1;
      [[unroll]] for (uint e = 0; e < kElements; ++e) {
        const vec2 q_pair = vec2(query[first * kElements + e], query[second * kElements + e]);
        [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
          vec2 pair = vec2(element(word[p][k].x, e), element(word[p][k].y, e));
          if (kOnRead != 0) pair = rotated(pair, first * kElements + e, key, sequence);
          sum[k] = fma(q_pair.y, pair.y, fma(q_pair.x, pair.x, sum[k]));
        }
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
  const Spans spans = spans_of(position, window, splits);
  const uint first_span = spans.begin + gl_WorkGroupID.z * spans.per_split;
  const uint last_span = min(first_span + spans.per_split, spans.end);
  if (first_span >= last_span) return;

  // load the query, scaled, and rotated where the cached keys are not
  const uint from = (row * heads + head) * kHeadDim;
  for (uint i = lane; i < kHeadDim / 2; i += kLanes) {
    vec2 pair = vec2(q.at[from + i], q.at[from + i + kHeadDim / 2]);
    if (kOnRead != 0) pair = rotated(pair, i, position, sequence);
    query[i] = pair.x * scale;
    query[i + kHeadDim / 2] = pair.y * scale;
  }
  uint page = 0, next_page = 0;  // where a span has one
  if (kPagesOfSpan == 1)
    next_page = page_words_at(first_span * kSpan / kPageTokens, sequence);
  else
    load_pages(first_span, sequence, lane);
  barrier();

  // A compiler does not know that lane / kLanes is 0, and that what it indexes is the workgroup's.
  const uint part = kParts == 1 ? 0 : lane / kLanesPerValue, lane_in_value = lane % kLanesPerValue;
  float running_max = NEGATIVE_INFINITY, sum = 0;  // sum: of this lane's keys
  float output_part[kWordsPerLane * kElements];
  [[unroll]] for (uint i = 0; i < kWordsPerLane * kElements; ++i) output_part[i] = 0;

  for (uint span = first_span; span < last_span; ++span) {
    const uint start = span * kSpan;  // a position
    page = next_page;
    if (kPagesOfSpan == 1)
      next_page = page_words_at((start + kSpan) / kPageTokens, sequence);
    else
      load_pages(span + 1, sequence, lane);
    const uint begin_key = max(spans.first_key, start) - start;
    const uint count = min(kSpan, position + 1 - start);

    // score the span's keys
    float span_max = running_max;
    for (uint j = begin_key + lane; j < count; j += kLanes * kKeysAtOnce) {
      uint lane_word[kKeysAtOnce];
      float s[kKeysAtOnce];
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        const uint at = min(j + k * kLanes, count - 1);
        lane_word[k] = (kPagesOfSpan == 1 ? 0 : page_of(span, at)) + entry_of(span, at);
      }
      dot_keys(page + kv_head * kHeadWords * kPageTokens, lane_word, start + j, sequence, s);
      [[unroll]] for (uint k = 0; k < kKeysAtOnce; ++k) {
        const uint at = j + k * kLanes;
        if (at >= count) continue;
        if (kElements == 4) s[k] *= scale_of(keys, key_page(page, span, at), kv_head, entry_of(span, at));
        s[k] = capped(s[k]);
        score[at] = s[k];
        span_max = max(span_max, s[k]);
      }
    }

    // max over the workgroup; scale the running sum down to it
    span_max = workgroup_max(span_max, lane);
    const float keep = exp(running_max - span_max);
    running_max = span_max;
    sum *= keep;

    // exponentiate scores to weights, and add them up
    for (uint j = begin_key + lane; j < count; j += kLanes) {
      const float weight = exp(score[j] - running_max);
      sum += weight;
      score[j] = weight;
      if (kElements == 4) score[j] *= scale_of(values, key_page(page, span, j), kv_head, entry_of(span, j));
    }
    barrier();

    // add up weighted values: neighbouring lanes take neighbouring words, parts take other keys
    [[unroll]] for (uint i = 0; i < kWordsPerLane * kElements; ++i) output_part[i] *= keep;
    if (part < kParts) {
      const uint all = page + kv_head * kPageTokens * kHeadWords;
      for (uint j = begin_key; j + part < count; j += kParts * kValuesAtOnce) {
        uint word[kValuesAtOnce * kWordsPerLane];
        float weight[kValuesAtOnce];
        [[unroll]] for (uint k = 0; k < kValuesAtOnce; ++k) {
          const uint key = j + k * kParts + part, at = min(key, count - 1);
          // with one page and one part the same for the workgroup
          const uint value = (kPagesOfSpan == 1 ? 0 : page_of(span, at)) + entry_of(span, at) * kHeadWords;
          const bool is_same = kPagesOfSpan == 1 && kParts == 1;
          weight[k] = key < count ? score[at] : 0;
          [[unroll]] for (uint i = 0; i < kWordsPerLane; ++i) {
            const uint w = min(i * kLanesPerValue + lane_in_value, kHeadWords - 1);
            word[k * kWordsPerLane + i] =
                is_same ? word_at(values, all + value, w) : word_at(values, all, value + w);
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

  // share the parts' outputs
  if (part < kParts)
    [[unroll]] for (uint i = 0; i < kWordsPerLane; ++i) {
      const uint w = i * kLanesPerValue + lane_in_value;
      if (w < kHeadWords)
        [[unroll]] for (uint e = 0; e < kElements; ++e)
          outputs[part * kHeadDim + w * kElements + e] = output_part[i * kElements + e];
    }
  sum = workgroup_sum(sum, lane);
  barrier();

  // add up the parts and store
#ifdef JOINED
  const uint parts = used_splits(spans);
  const bool is_whole = parts == 1;
#else
  const bool is_whole = kWritesY != 0;
#endif
  const uint of_head = (index * heads + head) * splits * (2 + kHeadDim);
  const uint to = of_head + gl_WorkGroupID.z * (2 + kHeadDim);
  for (uint i = lane; i < kHeadDim; i += kLanes) {
    float o = 0;
    for (uint s = 0; s < kParts; ++s) o += outputs[s * kHeadDim + i];
    if (is_whole)
      y.at[from + i] = o / sum;
    else
      partial.at[to + 2 + i] = o;
  }
  if (is_whole) return;
  if (lane == 0) {
    partial.at[to] = running_max;
    partial.at[to + 1] = sum;
  }

#ifdef JOINED
  if (!is_last(counters, index * heads + head, parts)) return;
  float result[kJoinElements];
  join(partial, of_head, parts, lane, result);
  [[unroll]] for (uint e = 0; e < kJoinElements; ++e)
    if (lane + e * kLanes < kHeadDim) y.at[from + lane + e * kLanes] = result[e];
#endif
}
