#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {
namespace {

uint64_t partial_bytes(uint64_t rows, uint64_t heads, uint64_t splits, uint64_t head_dim) {
  return rows * heads * splits * (2 + head_dim) * sizeof(float);
}

// Splits of the keys that give a GPU with some hundred compute units enough loads under way: a
// workgroup of 64 has some 2 KiB of them, and a large card needs megabytes. A split's output goes
// through memory, 130 numbers where its keys and values are 64 KiB a page.
uint32_t splits_of(uint32_t rows_and_heads, uint32_t pages_per_sequence) {
  constexpr uint32_t kEnoughGroups = 2048, kMaxSplits = 64;
  return std::clamp(kEnoughGroups / std::max(1u, rows_and_heads), 1u,
                    std::min(kMaxSplits, pages_per_sequence));
}

// Rows of a tile. Its queries and scores lie in shared memory. 0: the program has no room for one.
uint32_t queries_of(uint32_t rows, uint32_t head_dim, uint32_t lanes, const Features& features) {
  for (const uint32_t queries : {8u, 4u}) {
    const uint64_t shared = 4ull * queries * (head_dim + abi::kPageTokens + lanes + 1);
    if (rows >= queries && shared <= features.shared_bytes) return queries;
  }
  return 0;
}

// How the rows, keys and lanes of an attention are cut into workgroups.
//
//   rows of prompts   attention_tile.comp, grid (heads, rows / queries): they share their keys
//   other rows        attention.comp, grid (heads, rows, splits): each has its sequence for itself
//
// A program that has no room for a tile leaves all rows to attention.comp.
struct Cut {
  Cut(const abi::Graph& graph, const abi::Node& node, const abi::ProgramShape& shape,
      const Features& features)
      : head_dim(graph.tensors[node.in[1]].dim[3]),
        heads(abi::heads_of(graph.tensors[node.in[0]], graph.tensors[node.in[1]])),
        lanes(features.processor ? features.subgroup_size : 64),
        queries(queries_of(shape.rows, head_dim, lanes, features)),
        singles(queries > 0 ? std::min(shape.rows, shape.sequences) : shape.rows),
        splits(features.processor ? 1 : splits_of(singles * heads, shape.pages_per_sequence)),
        ordered(node.in.size() > 3),
        tile_partials(queries > 0 && ordered ? partial_bytes(shape.rows, heads, 1, head_dim) : 0),
        single_partials(ordered || splits > 1 ? partial_bytes(singles, heads, splits, head_dim)
                                              : 0) {}

  uint32_t head_dim, heads;
  uint32_t lanes;
  uint32_t queries;  // rows of a tile; 0: there are no tiles
  uint32_t singles;  // rows that attention.comp may have
  uint32_t splits;   // of the keys of each of those
  bool ordered;
  // Bytes of the workspace, those of tiles first; 0: the shader writes y itself.
  uint64_t tile_partials, single_partials;
};

// One of the two shaders.
struct Part {
  const Shader& shader;
  uint32_t rows, queries, splits;
  uint64_t partials;        // bytes; 0: it writes y
  VkDeviceAddress partial;  // where they begin
  bool after_prompts;       // its rows begin where those of prompts end
};

void attend(const Operands& op, const Cut& cut, const Part& part, Recorder& recorder) {
  const abi::Tensor& cache = op.in(1);
  const bool whole = part.partials == 0;
  struct {
    VkDeviceAddress q, keys, values, y, partial, step;
    uint32_t heads, kv_heads, splits;
    float scale;
    uint32_t first_row, after_prompts;
  } push{op.at(0),
         op.at(1),
         op.at(2),
         op.result(),
         part.partial,
         op.around().step,
         cut.heads,
         cache.dim[2],
         part.splits,
         op.node().attention().scale,
         0,
         part.after_prompts};
  Constants constants{cut.lanes,
                      1,
                      cut.head_dim,
                      elements_of_word(cache.dtype),
                      op.node().attention().rotation == abi::KeyRotation::on_read,
                      whole};
  if (part.queries > 1) constants.push_back(part.queries);
  // Every row is taken to see the longest text there can be.
  const double flop_of_row =
      4.0 * op.width() * op.around().shape.pages_per_sequence * abi::kPageTokens;
  const uint32_t piece = rows_at_once(recorder.budget() / flop_of_row, part.queries);
  const Range all = whole ? op.range(op.out()) : Range{part.partial, part.partial + part.partials};
  const uint64_t row_bytes = whole ? op.width() * sizeof(float) : part.partials / part.rows;
  for (uint32_t& first = push.first_row; first < part.rows; first += piece) {
    const uint32_t count = std::min(piece, part.rows - first);
    const Dispatch scores{part.shader,
                          constants,
                          {cut.heads, (count + part.queries - 1) / part.queries, part.splits},
                          flop_of_row * count};
    // Where the rows of prompts end is known when the step runs.
    const Range to = whole && part.after_prompts ? all
                                                 : Range{all.begin + first * row_bytes,
                                                         all.begin + (first + count) * row_bytes};
    recorder.dispatch(scores, push, {op.range(0), op.range(1), op.range(2)}, {to});
  }
}

}  // namespace

uint64_t attention_workspace(const abi::Graph& graph, const abi::Node& node,
                             const abi::ProgramShape& shape, const Features& features) {
  const Cut cut(graph, node, shape, features);
  return cut.tile_partials + cut.single_partials;
}

void attention(const Operands& op, Recorder& recorder) {
  const abi::ProgramShape& shape = op.around().shape;
  const Cut cut(op.around().graph, op.node(), shape, recorder.features());
  const VkDeviceAddress tiles = op.around().workspace.begin, singles = tiles + cut.tile_partials;
  const bool has_tiles = cut.queries > 0;
  if (has_tiles)
    attend(op, cut, {kAttentionTile, shape.rows, cut.queries, 1, cut.tile_partials, tiles, false},
           recorder);
  attend(op, cut, {kAttention, cut.singles, 1, cut.splits, cut.single_partials, singles, has_tiles},
         recorder);
  if (cut.single_partials == 0) return;

  // Tiles have written the rows of prompts already where there is no order.
  const bool combines_prompts = cut.tile_partials > 0,
             after_prompts = has_tiles && !combines_prompts;
  const struct {
    VkDeviceAddress tiles, singles, order, y, step;
    uint32_t width, head_dim, splits, has_tiles, after_prompts;
  } combine{tiles,      singles,      op.at(3),   op.result(), op.around().step,
            op.width(), cut.head_dim, cut.splits, has_tiles,   after_prompts};
  const Dispatch folded{kAttentionCombine,
                        {kElementGroup, 1, cut.ordered},
                        element_groups(op.width(), after_prompts ? cut.singles : shape.rows),
                        0};
  recorder.dispatch(folded, combine, {{tiles, singles + cut.single_partials}},
                    {op.range(op.out())});
}

}  // namespace ropewalk::vulkan
