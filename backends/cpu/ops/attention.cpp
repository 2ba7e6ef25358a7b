// Attention over pages, online softmax. For a block of rows of one sequence and one key-value head:
//
//   for each span of 256 keys:  s = q . k * scale       (queries, keys of the span), soft-capped
//                               m = max s, w = exp(s - m), l = sum w, o = w . v
//                               fold (m, l, o) into the running (M, L, O)
//   y = O / L
//
// A query sees the keys up to its position that the window leaves. Tasks: blocks x key-value heads;
// if single tokens over long contexts are too few tasks for the threads, each of their spans is a
// task. Spans are folded in order on one thread, so neither other rows nor the number of threads
// changes a row's bits; nor does the size of pages, since a span is one page or several.
// Bottleneck: for one token, the bandwidth of keys and values; for a prompt, multiply-adds.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/ops/ops.h"

namespace ropewalk::cpu {
namespace {

constexpr uint32_t kSpan = abi::kMaxPageTokens;  // keys
constexpr uint32_t kQueries = 32;                // per block, roughly

uint32_t round_up(uint32_t value) { return (value + kPanel - 1) / kPanel * kPanel; }

// The sizes of an attention op; queries are the rows of a block times the heads of a group.
struct Sizes {
  explicit Sizes(const Attention& op)
      : dim(op.keys.head_dim),
        wide(round_up(dim)),
        group(op.heads / op.keys.kv_heads),
        block_rows(std::max(1u, kQueries / group)),
        queries(block_rows * group) {}

  uint32_t dim;
  uint32_t wide;  // dim, padded to whole panels
  uint32_t group, block_rows, queries;

  uint64_t state(uint32_t count) const { return uint64_t{count} * (2 + wide); }
  // Floats of one thread: queries, scores, a span's keys or values, two states.
  uint64_t lane() const {
    return uint64_t{queries} * dim + uint64_t{queries} * kSpan + uint64_t{wide} * kSpan +
           2 * state(queries);
  }
};

// Softmax and output of `count` queries, so far or of one span.
struct State {
  float* max;     // (count)
  float* sum;     // (count)
  float* output;  // (count, wide)

  State(float* at, uint32_t count) : max(at), sum(at + count), output(at + 2 * uint64_t{count}) {}
};

// A thread's part of the workspace.
struct Scratch {
  Scratch(float* at, const Sizes& sizes)
      : q(at),
        scores(q + uint64_t{sizes.queries} * sizes.dim),
        tile(scores + uint64_t{sizes.queries} * kSpan),
        total(tile + uint64_t{sizes.wide} * kSpan, sizes.queries),
        span(total.max + sizes.state(sizes.queries), sizes.queries) {}

  float* q;       // (queries, dim)
  float* scores;  // (queries, 256)
  float* tile;    // keys (dim, 256), then values (256, wide)
  State total, span;
};

// One block of rows and one key-value head.
struct Job {
  const Attention& op;
  const Frame& frame;
  const Sizes& sizes;
  RowBlock rows;
  uint32_t kv_head;

  uint32_t queries() const { return rows.count * sizes.group; }
  uint32_t sequence() const { return frame.step.sequence[rows.first]; }
  uint32_t position(uint32_t query) const {
    return frame.step.position[rows.first + query / sizes.group];
  }
  uint32_t first_key(uint32_t query) const {
    return abi::first_key_of(position(query), op.params.window);
  }
  // The keys that a query sees of the first `keys` of a span, by their index in it.
  struct Seen {
    uint32_t first, end;
  };
  Seen seen(uint32_t query, uint32_t span, uint32_t keys) const {
    const uint32_t base = span * kSpan;
    const auto in_span = [&](uint32_t key) { return key <= base ? 0 : std::min(keys, key - base); };
    return {in_span(first_key(query)), in_span(position(query) + 1)};
  }
  // The spans [first_span(), spans()) have keys that some query sees.
  uint32_t first_span() const { return first_key(0) / kSpan; }
  uint32_t spans() const { return position(queries() - 1) / kSpan + 1; }
};

// Up to a page of one layer's cache, at one key-value head.
struct Page {
  Page(const Job& job, const Cache& cache, uint32_t key, uint32_t key_count)
      : dtype(cache.dtype), count(key_count) {
    const uint64_t head_bytes =
        uint64_t{cache.page_tokens} * cache.head_dim * abi::element_bytes(cache.dtype);
    const std::byte* begin = cache.data + job.frame.page(job.sequence(), key) * cache.page_bytes();
    elements = begin + job.kv_head * head_bytes;
    scales = reinterpret_cast<const uint16_t*>(begin + cache.kv_heads * head_bytes) +
             job.kv_head * cache.page_tokens;
  }

  abi::DType dtype;
  uint32_t count;             // of the tokens, T in all
  const std::byte* elements;  // keys (dim, T) or values (T, dim)
  const uint16_t* scales;     // i8: (T) f16
};

// Calls use(page, first) for the pages that hold the first `keys` keys of a span; `first` is the
// index in the span of a page's first key.
template <class Use>
void for_each_page(const Job& job, const Cache& cache, uint32_t span, uint32_t keys,
                   const Use& use) {
  for (uint32_t first = 0; first < keys; first += cache.page_tokens) {
    const uint32_t count = std::min(cache.page_tokens, keys - first);
    use(Page(job, cache, span * kSpan + first, count), first);
  }
}

void multiply(const Kernels& kernels, abi::DType dtype, const Product& product) {
  if (dtype == abi::DType::f16)
    kernels.multiply_f16(product);
  else if (dtype == abi::DType::i8)
    kernels.multiply_i8(product);
  else
    kernels.multiply(product);
}

// to[i] = element `first + i` of the page as f32; codes of i8 without their scale.
void widen(const Kernels& kernels, const Page& page, uint64_t first, float* to, uint32_t count) {
  const std::byte* from = page.elements + first * abi::element_bytes(page.dtype);
  if (page.dtype == abi::DType::f16)
    kernels.widen_f16(from, to, count);
  else if (page.dtype == abi::DType::i8)
    kernels.widen_i8(from, to, count);
  else
    std::memcpy(to, from, count * sizeof(float));
}

// Cosines of the job's sequence and table, (dim / 2, positions); the sines follow.
const float* cosines(const Job& job) {
  const uint64_t table = uint64_t{job.sequence()} * job.frame.rope.tables + job.op.params.table;
  return job.frame.rotations + table * job.sizes.dim * job.frame.positions();
}

// to (queries, dim), rotated where the keys are rotated on reading.
void gather_queries(const Job& job, float* to) {
  const uint32_t d = job.sizes.dim, half = d / 2;
  const uint64_t positions = job.frame.positions();
  for (uint32_t m = 0; m < job.queries(); ++m, to += d) {
    const uint64_t row = job.rows.first + m / job.sizes.group;
    const uint64_t head = job.kv_head * job.sizes.group + m % job.sizes.group;
    std::copy_n(job.op.q + (row * job.op.heads + head) * d, d, to);
    if (job.op.params.rotation == abi::KeyRotation::before_cache) continue;
    const float* cosine = cosines(job) + job.position(m);
    for (uint32_t i = 0; i < half; ++i, cosine += positions)
      job.frame.kernels.rotate(
          {to + i, to + i + half, cosine, cosine + half * positions, to + i, to + i + half, 1});
  }
}

// scores (queries, 256) = q . k over the first `keys` keys of the span, and up to a whole panel.
void score_span(const Job& job, uint32_t span, uint32_t keys, const Scratch& scratch) {
  const Kernels& kernels = job.frame.kernels;
  const Cache& cache = job.op.keys;
  const uint32_t d = job.sizes.dim, half = d / 2;
  std::fill_n(scratch.scores, uint64_t{job.queries()} * kSpan, 0.0f);
  Product product{scratch.scores, scratch.q, scratch.tile,  kSpan, d, kSpan,
                  job.queries(),  d,         round_up(keys)};
  const bool rotates = job.op.params.rotation == abi::KeyRotation::on_read;
  if (!rotates && job.queries() <= kProductRows) {
    product.w_stride = cache.page_tokens;
    return for_each_page(job, cache, span, keys, [&](const Page& page, uint32_t first) {
      product.y = scratch.scores + first;
      product.w = page.elements;
      product.columns = round_up(page.count);
      multiply(kernels, page.dtype, product);
    });
  }

  for_each_page(job, cache, span, keys, [&](const Page& page, uint32_t first) {
    for (uint64_t i = 0; i < d; ++i)
      widen(kernels, page, i * cache.page_tokens, scratch.tile + i * kSpan + first,
            round_up(page.count));
  });
  const uint64_t positions = job.frame.positions();
  for (uint64_t i = 0; rotates && i < half; ++i) {
    const float* cosine = cosines(job) + i * positions + uint64_t{span} * kSpan;
    float* low = scratch.tile + i * kSpan;
    float* high = low + half * uint64_t{kSpan};
    kernels.rotate({low, high, cosine, cosine + half * positions, low, high, keys});
  }
  kernels.multiply(product);
}

// output (queries, wide) = weights . v over the first `keys` values of the span.
void gather_values(const Job& job, uint32_t span, uint32_t keys, const Scratch& scratch,
                   float* output) {
  const Kernels& kernels = job.frame.kernels;
  const uint32_t d = job.sizes.dim, wide = job.sizes.wide;
  std::fill_n(output, uint64_t{job.queries()} * wide, 0.0f);
  Product product{output, scratch.scores, scratch.tile, wide, kSpan,
                  wide,   job.queries(),  keys,         wide};
  if (d == wide && job.queries() <= kProductRows)
    return for_each_page(job, job.op.values, span, keys, [&](const Page& page, uint32_t first) {
      product.x = scratch.scores + first;
      product.w = page.elements;
      product.depth = page.count;
      multiply(kernels, page.dtype, product);
    });

  for_each_page(job, job.op.values, span, keys, [&](const Page& page, uint32_t first) {
    for (uint64_t j = 0; j < page.count; ++j)
      widen(kernels, page, j * d, scratch.tile + (first + j) * wide, d);
  });
  kernels.multiply(product);
}

// The same for each query alone, over the keys that it sees: a key behind the mask has the weight
// 0, and 0 times a value that is not finite is NaN.
void gather_seen_values(const Job& job, uint32_t span, uint32_t keys, const Scratch& scratch,
                        float* output) {
  const uint32_t d = job.sizes.dim, wide = job.sizes.wide;
  for_each_page(job, job.op.values, span, keys, [&](const Page& page, uint32_t first) {
    for (uint64_t j = 0; j < page.count; ++j)
      widen(job.frame.kernels, page, j * d, scratch.tile + (first + j) * wide, d);
  });
  for (uint32_t m = 0; m < job.queries(); ++m, output += wide) {
    const auto [first, end] = job.seen(m, span, keys);
    std::fill_n(output, wide, 0.0f);
    if (first == end) continue;
    const float* weights = scratch.scores + uint64_t{m} * kSpan + first;
    job.frame.kernels.multiply({output, weights, scratch.tile + uint64_t{first} * wide, wide, kSpan,
                                wide, 1, end - first, wide});
  }
}

bool all_finite(const float* values, uint64_t count) {
  bool finite = true;
  for (uint64_t i = 0; i < count; ++i) finite &= std::abs(values[i]) < INFINITY;
  return finite;
}

// i8 scales stay out of the products: those of keys multiply the scores before the softmax, those
// of values the weights after it.
void apply_scales(const Job& job, const Cache& cache, uint32_t span, float* row, uint32_t keys) {
  if (cache.dtype != abi::DType::i8) return;
  for_each_page(job, cache, span, keys, [&](const Page& page, uint32_t first) {
    float scales[kSpan];
    job.frame.kernels.widen_f16(page.scales, scales, page.count);
    for (uint32_t j = 0; j < page.count; ++j) row[first + j] *= scales[j];
  });
}

// scores = cap * tanh(scores * scale / cap)
void cap_scores(float* scores, uint32_t count, const abi::AttentionParams& params) {
  const float cap = params.soft_cap;
  for (uint32_t j = 0; j < count; ++j) scores[j] = cap * std::tanh(scores[j] * params.scale / cap);
}

// `state` = the state of the span alone.
void attend_span(const Job& job, uint32_t span, const Scratch& scratch, const State& state) {
  const uint32_t queries = job.queries(), base = span * kSpan;
  const uint32_t keys = std::min(kSpan, job.position(queries - 1) + 1 - base);
  score_span(job, span, keys, scratch);
  bool all_seen = true;
  for (uint32_t m = 0; m < queries; ++m) {
    float* row = scratch.scores + uint64_t{m} * kSpan;
    const auto [first, end] = job.seen(m, span, keys);
    all_seen &= first == 0 && end == keys;
    const bool caps = job.op.params.soft_cap != 0;
    apply_scales(job, job.op.keys, span, row, end);
    if (caps) cap_scores(row + first, end - first, job.op.params);
    job.frame.kernels.softmax(row + first, end - first, caps ? 1 : job.op.params.scale,
                              &state.max[m], &state.sum[m]);
    apply_scales(job, job.op.values, span, row, end);
    std::fill(row, row + first, 0.0f);
    std::fill(row + end, row + keys, 0.0f);
  }
  gather_values(job, span, keys, scratch, state.output);
  if (!all_seen && !all_finite(state.output, uint64_t{queries} * job.sizes.wide))
    gather_seen_values(job, span, keys, scratch, state.output);
}

// total += span, both scaled to the larger maximum.
void fold(const Job& job, const State& span, const State& total) {
  for (uint32_t m = 0; m < job.queries(); ++m) {
    if (span.sum[m] == 0) continue;  // the query sees no key of this span
    const float max = std::max(total.max[m], span.max[m]);
    const float keep = std::exp(total.max[m] - max), take = std::exp(span.max[m] - max);
    total.max[m] = max;
    total.sum[m] = total.sum[m] * keep + span.sum[m] * take;
    float* to = total.output + uint64_t{m} * job.sizes.wide;
    const float* from = span.output + uint64_t{m} * job.sizes.wide;
    for (uint32_t i = 0; i < job.sizes.dim; ++i) to[i] = to[i] * keep + from[i] * take;
  }
}

void clear(const Job& job, const State& total) {
  std::fill_n(total.max, job.queries(), -INFINITY);
  std::fill_n(total.sum, job.queries(), 0.0f);
  std::fill_n(total.output, uint64_t{job.queries()} * job.sizes.wide, 0.0f);
}

// o[row][head] = O / L
void store(const Job& job, const State& total, float* o) {
  const Sizes& sizes = job.sizes;
  for (uint32_t m = 0; m < job.queries(); ++m) {
    const uint64_t row = job.rows.first + m / sizes.group;
    const uint64_t head = job.kv_head * sizes.group + m % sizes.group;
    float* to = o + (row * job.op.heads + head) * sizes.dim;
    const float* from = total.output + uint64_t{m} * sizes.wide;
    for (uint32_t i = 0; i < sizes.dim; ++i) to[i] = from[i] / total.sum[m];
  }
}

// Divides the step into blocks of consecutive rows of a sequence, at most `max_rows` each.
void plan_blocks(const Frame& frame, uint32_t max_rows) {
  frame.blocks.clear();
  for (uint32_t r = 0; r < frame.step.rows; ++r) {
    const bool fits = r > 0 && frame.step.sequence[r] == frame.step.sequence[r - 1] &&
                      frame.blocks.back().count < max_rows;
    if (fits)
      ++frame.blocks.back().count;
    else
      frame.blocks.push_back({r, 1});
  }
}

// An estimate in nanoseconds of one thread: two multiply-adds per key, query and dimension, 16
// lanes.
double cost_of(const Attention& op, const Frame& frame) {
  double keys = 0;
  for (const uint32_t p : frame.step.position.first(frame.step.rows))
    keys += p + 1.0 - abi::first_key_of(p, op.params.window);
  return keys * op.heads * op.keys.head_dim / 8;
}

uint32_t spans_of(const Attention& op, uint32_t pages_per_sequence) {
  return abi::pages_for(pages_per_sequence * op.keys.page_tokens, kSpan);
}

// Whether each span is a task: single tokens whose heads alone would leave threads idle.
bool spans_are_tasks(const Frame& frame, uint64_t tasks) {
  return frame.step.prompt_rows == 0 && tasks < 2 * frame.pool.lanes();
}

// A task is a block and a key-value head.
void attend_blocks(const Attention& op, const Frame& frame, const Sizes& sizes, float* o) {
  const uint32_t heads = op.keys.kv_heads;
  const auto tasks = static_cast<uint32_t>(frame.blocks.size() * heads);
  frame.pool.run(tasks, cost_of(op, frame), [&](uint32_t task, uint32_t lane) noexcept {
    const Job job{op, frame, sizes, frame.blocks[task / heads], task % heads};
    const Scratch scratch(frame.workspace + lane * sizes.lane(), sizes);
    gather_queries(job, scratch.q);
    clear(job, scratch.total);
    for (uint32_t span = job.first_span(); span < job.spans(); ++span) {
      attend_span(job, span, scratch, scratch.span);
      fold(job, scratch.span, scratch.total);
    }
    store(job, scratch.total, o);
  });
}

// A task is a span of a block and a key-value head; the caller then folds the spans.
void attend_spans(const Attention& op, const Frame& frame, const Sizes& sizes, float* o) {
  const uint32_t heads = op.keys.kv_heads;
  const uint32_t spans = spans_of(op, frame.pages_per_sequence);
  const auto jobs = static_cast<uint32_t>(frame.blocks.size() * heads);
  float* states = frame.workspace + frame.pool.lanes() * sizes.lane();
  const auto state_of = [&](uint32_t task, uint32_t span) {
    return State(states + (uint64_t{task} * spans + span) * sizes.state(sizes.group), sizes.group);
  };
  const auto job_of = [&](uint32_t task) {
    return Job{op, frame, sizes, frame.blocks[task / heads], task % heads};
  };
  frame.pool.run(jobs * spans, cost_of(op, frame), [&](uint32_t task, uint32_t lane) noexcept {
    const Job job = job_of(task / spans);
    if (task % spans < job.first_span() || task % spans >= job.spans()) return;
    const Scratch scratch(frame.workspace + lane * sizes.lane(), sizes);
    gather_queries(job, scratch.q);
    attend_span(job, task % spans, scratch, state_of(task / spans, task % spans));
  });
  for (uint32_t task = 0; task < jobs; ++task) {
    const Job job = job_of(task);
    const Scratch scratch(frame.workspace, sizes);
    clear(job, scratch.total);
    for (uint32_t span = job.first_span(); span < job.spans(); ++span)
      fold(job, state_of(task, span), scratch.total);
    store(job, scratch.total, o);
  }
}

}  // namespace

void rotation_tables(float* to, const Frame& frame) noexcept {
  const uint32_t half = frame.rope.half_dim, pairs = frame.rope.pairs();
  const uint64_t positions = frame.positions();
  double count = 0;
  for (const uint32_t length : frame.step.length) count += length;
  frame.pool.run(frame.step.sequences * pairs, 20.0 * pairs * count,
                 [&](uint32_t task, uint32_t) noexcept {
                   const uint32_t table = task / half, i = task % half, s = task / pairs;
                   const float inv_freq = frame.step.inv_freq[task];
                   float* cosine = to + (uint64_t{table} * 2 * half + i) * positions;
                   float* sine = cosine + half * positions;
                   for (uint32_t p = 0; p < frame.step.length[s]; ++p) {
                     const float angle = static_cast<float>(p) * inv_freq;
                     cosine[p] = std::cos(angle);
                     sine[p] = std::sin(angle);
                   }
                 });
}

uint64_t attention_workspace(const Attention& op, uint32_t rows, uint32_t pages_per_sequence,
                             uint32_t lanes) {
  const Sizes sizes(op);
  const uint64_t split =
      2 * uint64_t{lanes} * spans_of(op, pages_per_sequence) * sizes.state(sizes.group);
  const uint64_t ordered = op.order ? uint64_t{rows} * op.heads * sizes.dim : 0;
  return lanes * sizes.lane() + split + ordered;
}

void attention(const Attention& op, const Frame& frame) noexcept {
  const Sizes sizes(op);
  const uint64_t width = uint64_t{op.heads} * sizes.dim;
  plan_blocks(frame, sizes.block_rows);
  float* o = op.y;
  if (op.order)  // a row's heads finish at different times: y is filled in order when all have
    o = frame.workspace + attention_workspace(op, 0, frame.pages_per_sequence, frame.pool.lanes());

  if (spans_are_tasks(frame, frame.blocks.size() * op.keys.kv_heads))
    attend_spans(op, frame, sizes, o);
  else
    attend_blocks(op, frame, sizes, o);

  if (!op.order) return;
  for (uint64_t r = 0; r < frame.step.rows; ++r)
    for (uint64_t i = 0; i < width; ++i)
      op.y[r * width + i] = o[r * width + static_cast<uint32_t>(op.order[i])];
}

}  // namespace ropewalk::cpu
