#include <algorithm>
#include <array>

#include "backends/vulkan/ops/product.h"
#include "core/abi/kv_page.h"

namespace ropewalk::vulkan {
namespace {

// Maximum, sum and output of each split.
uint64_t partial_bytes(uint64_t rows, uint64_t heads, uint64_t splits, uint64_t head_dim) {
  return rows * heads * splits * (2 + head_dim) * sizeof(float);
}

// Keys that a workgroup scores at a time. With one for each lane a GPU has the most workgroups; a
// processor is spared barriers. Tiles have their own.
constexpr uint32_t kGpuSpan = 64, kProcessorSpan = 256, kTileSpan = 256;

// Splits of the keys that give a GPU with some hundred compute units enough loads under way: a
// workgroup of 64 has some 2 KiB of them, and a large card needs megabytes. A split's output goes
// through memory, 130 numbers where the keys and values of a span are 32 KiB. The text of a step
// may be shorter than the program allows: then the spans that it has are divided among the same
// splits.
uint32_t key_splits_of(uint32_t rows_and_heads, uint32_t spans) {
  constexpr uint32_t kEnoughGroups = 2048, kMaxSplits = 64;
  return std::clamp(kEnoughGroups / std::max(1u, rows_and_heads), 1u, std::min(kMaxSplits, spans));
}

// Of the longest text there can be.
uint32_t gpu_spans_of(const abi::Tensor& cache, const abi::ProgramShape& shape) {
  return abi::pages_for(shape.pages_per_sequence * cache.dim[1], kGpuSpan);
}

// Rows of a tile. Its queries and scores lie in shared memory. 0: the program has no room for one.
uint32_t queries_of(uint32_t rows, uint32_t head_dim, uint32_t lanes, const Features& features) {
  for (const uint32_t queries : {8u, 4u}) {
    const uint64_t shared =
        4ull * (queries * (head_dim + kTileSpan + lanes + 1) + 2 * kTileSpan / abi::kPageSizes[0]);
    if (rows >= queries && shared <= features.shared_bytes) return queries;
  }
  return 0;
}

// The same on matrix cores, 16 rows a subgroup; as attention_matrix.comp declares it. It takes
// rotated keys of f16 and i8.
uint32_t matrix_queries_of(const abi::Node& node, const abi::Tensor& cache, uint32_t rows,
                           const Features& features) {
  constexpr uint32_t kEdge = 16, kMatrixSpan = 32;
  const uint32_t head_dim = cache.dim[3];
  if (features.matrices == Matrices::none || head_dim % kEdge || cache.dtype == abi::DType::f32 ||
      node.attention().rotation == abi::KeyRotation::on_read)
    return 0;
  for (const uint32_t queries : {64u, 32u, 16u}) {
    const uint64_t line = head_dim / 8 + 1, parts = std::max(features.matrix_lanes / kEdge, 1u);
    const uint64_t score = kMatrixSpan / 4 + 1, value = kMatrixSpan / 8 + 1;
    const uint64_t vectors =
        queries * (line + score + value) + std::max(kMatrixSpan * line, head_dim * value);
    const uint64_t shared =
        16 * vectors + 4 * (queries * (parts + 3) + 2 * kMatrixSpan / abi::kPageSizes[0]) + 8;
    if (rows >= queries && shared <= features.shared_bytes &&
        queries / kEdge * features.matrix_lanes <= features.max_invocations)
      return queries;
  }
  return 0;
}

// How the rows, keys and lanes of an attention are divided among workgroups.
//
//   rows of prompts   attention_tile.comp or attention_matrix.comp, grid (heads, rows / queries):
//                     they share their keys
//   other rows        attention.comp, grid (heads, rows, splits): each has its sequence for itself
//
// A program that has no room for a tile, or whose rows must not depend on their company, leaves all
// rows to attention.comp.
struct Division {
  Division(const abi::Graph& graph, const abi::Node& node, const abi::ProgramShape& shape,
           const Features& features)
      : head_dim(graph.tensors[node.in[1]].dim[3]),
        heads(abi::heads_of(graph.tensors[node.in[0]], graph.tensors[node.in[1]])),
        lanes(features.processor ? features.subgroup_size : 64),
        span(features.processor ? kProcessorSpan : kGpuSpan),
        on_matrices(!features.batch_invariant &&
                    matrix_queries_of(node, graph.tensors[node.in[1]], shape.rows, features) > 0),
        queries(features.batch_invariant ? 0
                : on_matrices
                    ? matrix_queries_of(node, graph.tensors[node.in[1]], shape.rows, features)
                    : queries_of(shape.rows, head_dim, lanes, features)),
        singles(queries > 0 ? std::min(shape.rows, shape.sequences) : shape.rows),
        splits(features.processor
                   ? 1
                   : key_splits_of((features.batch_invariant ? kInvariantRows : singles) * heads,
                                   gpu_spans_of(graph.tensors[node.in[1]], shape))),
        ordered(node.in.size() > 3),
        tile_partials(queries > 0 && ordered ? partial_bytes(shape.rows, heads, 1, head_dim) : 0),
        single_partials(ordered || splits > 1 ? partial_bytes(singles, heads, splits, head_dim)
                                              : 0) {}

  uint32_t head_dim, heads;
  uint32_t lanes;
  uint32_t span;     // keys that attention.comp scores at a time
  bool on_matrices;  // tiles are
  uint32_t queries;  // rows of a tile; 0: there are no tiles
  uint32_t singles;  // rows that attention.comp may have
  uint32_t splits;   // of the keys of each of those
  bool ordered;
  // Bytes of the workspace, those of tiles first; 0: the shader writes y itself.
  uint64_t tile_partials, single_partials;
};

// The work of one of the two shaders.
struct Part {
  const Shader& shader;
  uint32_t rows, queries, splits;
  Range partials;       // in the workspace; empty: it writes y
  bool after_prompts;   // its rows begin where those of prompts end
  Range counters = {};  // with them the last workgroup of a head writes y from the partials
};

// The block of attention.glsl.
struct AttentionPush {
  VkDeviceAddress q, keys, values, y, partial, step;
  uint32_t heads, kv_heads, splits;
  float scale;
  uint32_t first_row, after_prompts, window;
  float soft_cap;
  VkDeviceAddress counters;
};

void attend(const Operands& op, const Division& division, const Part& part, Recorder& recorder) {
  const abi::Tensor& cache = op.in(1);
  const bool writes_y = part.partials == Range{};
  AttentionPush push{.q = op.at(0),
                     .keys = op.at(1),
                     .values = op.at(2),
                     .y = op.result_at(),
                     .partial = part.partials.begin,
                     .step = op.step(),
                     .heads = division.heads,
                     .kv_heads = cache.dim[2],
                     .splits = part.splits,
                     .scale = op.node().attention().scale,
                     .first_row = 0,
                     .after_prompts = part.after_prompts,
                     .window = op.node().attention().window,
                     .soft_cap = op.node().attention().soft_cap,
                     .counters = part.counters.begin};
  Constants constants{division.lanes,
                      cache.dim[1],
                      division.head_dim,
                      elements_per_word(cache.dtype),
                      op.node().attention().rotation == abi::KeyRotation::on_read,
                      writes_y};
  if (division.on_matrices && part.queries > 1) {
    constants[0] = part.queries / 16 * recorder.features().matrix_lanes;
    constants.push_back(recorder.features().matrix_lanes);
  } else {
    constants.push_back(part.queries > 1 ? part.queries : division.span);
  }
  constants.push_back(push.window > 0);
  constants.push_back(push.soft_cap > 0);
  const bool joins = part.counters != Range{};
  // Of four words each: more would cost registers that the loops before have no use for.
  if (joins) constants.push_back(std::min(part.splits, 8u));

  // Every row is taken to see the longest text there can be.
  const double flop_per_row = 4.0 * op.width() * op.shape().pages_per_sequence * cache.dim[1];
  const uint32_t at_once = rows_per_dispatch(recorder.budget() / flop_per_row, part.queries);
  const Range all = writes_y ? op.result() : part.partials;
  const uint64_t row_bytes =
      writes_y ? op.width() * sizeof(float) : (all.end - all.begin) / part.rows;
  for (uint32_t& first = push.first_row; first < part.rows; first += at_once) {
    const uint32_t count = std::min(at_once, part.rows - first);
    const Dispatch dispatch{
        part.shader,
        constants,
        {division.heads, (count + part.queries - 1) / part.queries, part.splits},
        flop_per_row * count};
    // Where the rows of prompts end is known only when the step runs.
    const Range to =
        writes_y && part.after_prompts
            ? all
            : Range{all.begin + first * row_bytes, all.begin + (first + count) * row_bytes};
    recorder.dispatch(dispatch, push, {op.range(0), op.range(1), op.range(2)},
                      {to, joins ? op.result() : Range{}, part.counters});
  }
}

const Shader& shader_of_singles(const Features& features) {
  return features.int64 && features.subgroup_arithmetic && !features.processor ? kAttentionWide
                                                                               : kAttention;
}

// y from the partials: joins the splits and stores in the order that the node asks for. Without an
// order the tiles have already written the rows of prompts.
void combine(const Operands& op, const Division& division, const Range& tiles, const Range& singles,
             Recorder& recorder) {
  const bool has_tiles = division.queries > 0;
  const bool after_prompts = has_tiles && division.tile_partials == 0;
  std::optional<Derived> planes = planes_of_result(op, recorder.features());
  // Rows that the tiles have stored do not pass here.
  if (after_prompts || op.width() % kElementGroup) planes.reset();
  const struct {
    VkDeviceAddress tiles, singles, order, y, step, planes;
    uint32_t width, splits, has_tiles, after_prompts, window;
  } push{.tiles = tiles.begin,
         .singles = singles.begin,
         .order = op.at(3),
         .y = op.result_at(),
         .step = op.step(),
         .planes = planes ? planes->result.begin : 0,
         .width = op.width(),
         .splits = division.splits,
         .has_tiles = has_tiles,
         .after_prompts = after_prompts,
         .window = op.node().attention().window};
  const uint32_t rows = after_prompts ? division.singles : op.shape().rows;
  const Dispatch dispatch{kAttentionCombine,
                          {kElementGroup, 1, division.ordered, std::min(division.splits, 16u),
                           planes.has_value(), division.span, division.head_dim},
                          element_groups(op.width(), rows),
                          0};
  recorder.dispatch(dispatch, push, {{tiles.begin, singles.end}},
                    {op.result(), planes ? planes->result : Range{}});
  if (planes) recorder.remember(*planes);
}

}  // namespace

uint64_t attention_workspace(const abi::Graph& graph, const abi::Node& node,
                             const abi::ProgramShape& shape, const Features& features) {
  const Division division(graph, node, shape, features);
  return division.tile_partials + division.single_partials;
}

void attention(const Operands& op, Recorder& recorder) {
  const uint32_t rows = op.shape().rows;
  const Features& features = recorder.features();
  const Division division(op.context().graph, op.node(), op.shape(), features);
  const VkDeviceAddress begin = op.context().partials.begin;
  const VkDeviceAddress middle = begin + division.tile_partials;
  const Range tiles{begin, middle}, singles{middle, middle + division.single_partials};
  const bool has_tiles = division.queries > 0;
  if (has_tiles)
    attend(op, division,
           {.shader = !division.on_matrices                     ? kAttentionTile
                      : features.matrices == Matrices::emulated ? kAttentionMatrix
                                                                : kAttentionMatrixCooperative,
            .rows = rows,
            .queries = division.queries,
            .splits = 1,
            .partials = division.tile_partials ? tiles : Range{},
            .after_prompts = false},
           recorder);
  attend(op, division,
         {.shader = shader_of_singles(features),
          .rows = division.singles,
          .queries = 1,
          .splits = division.splits,
          .partials = division.single_partials ? singles : Range{},
          .after_prompts = has_tiles},
         recorder);
  if (division.single_partials) combine(op, division, tiles, singles, recorder);
}

void attention_product(const Operands& op, const Operands& product, const Epilogue& epilogue,
                       Recorder& recorder) {
  const Features& features = recorder.features();
  const Division division(op.context().graph, op.node(), op.shape(), features);
  const Tiling tiling = planed_tiling(features, product.weight(1, abi::WeightUse::matmul),
                                      product.width(), product.rows());
  const uint32_t heads = division.singles * division.heads;  // of all rows
  const bool is_split = division.splits > 1;
  const VkDeviceAddress partials = op.context().partials.begin;
  if (!is_planed(tiling) || division.queries > 0 || (is_split && heads > Counters::kCount)) {
    attention(op, recorder);
    return matmul(product, epilogue, recorder);
  }
  attend(op, division,
         {.shader = is_split ? kAttentionJoined : shader_of_singles(features),
          .rows = division.singles,
          .queries = 1,
          .splits = division.splits,
          .partials = is_split ? Range{partials, partials + division.single_partials} : Range{},
          .after_prompts = false,
          .counters = is_split ? op.context().counters.first(heads) : Range{}},
         recorder);
  prefetch(op.context(), std::array{product}, recorder);
  planed_matmul(product, tiling, op.at(3), epilogue, recorder);
}

}  // namespace ropewalk::vulkan
