#include <algorithm>

#include "backends/vulkan/ops/ops.h"

namespace ropewalk::vulkan {
namespace {

// How the rows, keys and lanes of an attention are cut into workgroups.
struct Cut {
  uint32_t lanes;
  uint32_t queries;  // rows that a workgroup takes together; 1: attention.comp
  uint32_t splits;   // of the keys
};

// Splits of the keys that give a GPU with some hundred compute units enough loads under way: a
// workgroup of 64 has some 2 KiB of them, and a large card needs megabytes. A split's output goes
// through memory, 130 numbers where its keys and values are 64 KiB a page.
uint32_t splits_of(const abi::ProgramShape& shape, uint32_t heads) {
  constexpr uint32_t kEnoughGroups = 2048, kMostSplits = 64;
  const uint32_t wanted = kEnoughGroups / std::max(1u, shape.rows * heads);
  return std::clamp(wanted, 1u, std::min(kMostSplits, shape.pages_per_sequence));
}

// A batch of single tokens has a sequence for each row and nothing to share, a prompt has many rows
// of one. Queries and scores of a tile lie in shared memory.
uint32_t queries_of(const abi::ProgramShape& shape, uint32_t head_dim, uint32_t lanes,
                    const Features& features) {
  const uint32_t rows_of_sequence = shape.rows / std::max(1u, shape.sequences);
  for (const uint32_t queries : {8u, 4u}) {
    const uint64_t shared = 4ull * queries * (head_dim + abi::kPageTokens + lanes + 1);
    if (rows_of_sequence >= queries && shared <= features.shared_bytes) return queries;
  }
  return 1;
}

Cut cut_of(const abi::ProgramShape& shape, uint32_t heads, uint32_t head_dim,
           const Features& features) {
  const uint32_t lanes = features.processor ? features.subgroup_size : 64;
  const uint32_t queries = queries_of(shape, head_dim, lanes, features);
  const bool splits = queries == 1 && !features.processor;
  return {lanes, queries, splits ? splits_of(shape, heads) : 1};
}

uint64_t partial_bytes(uint64_t rows, uint64_t heads, uint64_t splits, uint64_t head_dim) {
  return rows * heads * splits * (2 + head_dim) * sizeof(float);
}

}  // namespace

uint64_t attention_workspace(const abi::Graph& graph, const abi::Node& node,
                             const abi::ProgramShape& shape, const Features& features) {
  const uint32_t head_dim = graph.tensors[node.in[1]].dim[3];
  const auto heads = heads_of(graph.tensors[node.in[0]], graph.tensors[node.in[1]]);
  const uint32_t splits = cut_of(shape, heads, head_dim, features).splits;
  return splits == 1 && node.in.size() == 3 ? 0
                                            : partial_bytes(shape.rows, heads, splits, head_dim);
}

void attention(const Operands& op, Recorder& recorder) {
  const abi::Tensor& cache = op.in(1);
  const abi::ProgramShape& shape = op.around().shape;
  const uint32_t head_dim = cache.dim[3], heads = op.width() / head_dim;
  const Cut cut = cut_of(shape, heads, head_dim, recorder.features());
  const bool whole = cut.splits == 1 && !op.has(3);
  const Range partial = whole ? op.range(op.out()) : op.around().workspace;

  struct {
    VkDeviceAddress q, keys, values, y, partial, step;
    uint32_t heads, kv_heads, splits;
    float scale;
    uint32_t first_row;
  } push{op.at(0),
         op.at(1),
         op.at(2),
         op.result(),
         partial.begin,
         op.around().step,
         heads,
         cache.dim[2],
         cut.splits,
         op.node().attention().scale,
         0};
  Constants constants{cut.lanes,
                      1,
                      head_dim,
                      elements_of_word(cache.dtype),
                      op.node().attention().rotation == abi::KeyRotation::on_read,
                      whole};
  if (cut.queries > 1) constants.push_back(cut.queries);
  // Every row is taken to see the longest text there can be.
  const double flop_of_row = 4.0 * op.width() * shape.pages_per_sequence * abi::kPageTokens;
  const uint32_t piece = rows_at_once(recorder.budget() / flop_of_row, cut.queries);
  const uint64_t row_bytes =
      whole ? op.width() * sizeof(float) : partial_bytes(1, heads, cut.splits, head_dim);
  for (uint32_t& first = push.first_row; first < shape.rows; first += piece) {
    const uint32_t count = std::min(piece, shape.rows - first);
    const Dispatch scores{cut.queries > 1 ? kAttentionTile : kAttention,
                          constants,
                          {heads, (count + cut.queries - 1) / cut.queries, cut.splits},
                          flop_of_row * count};
    recorder.dispatch(
        scores, push, {op.range(0), op.range(1), op.range(2)},
        {{partial.begin + first * row_bytes, partial.begin + (first + count) * row_bytes}});
  }
  if (whole) return;

  const struct {
    VkDeviceAddress partial, order, y, step;
    uint32_t width, head_dim, splits;
  } combine{partial.begin, op.at(3), op.result(), op.around().step,
            op.width(),    head_dim, cut.splits};
  const Dispatch folded{
      kAttentionCombine, {kElementGroup, 1, op.has(3)}, element_groups(op.width(), shape.rows), 0};
  recorder.dispatch(folded, combine, {partial}, {op.range(op.out())});
}

}  // namespace ropewalk::vulkan
