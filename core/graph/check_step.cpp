#include "core/graph/check_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/abi/kv_page.h"
#include "core/abi/operands.h"

namespace ropewalk {
namespace {

void require_step(bool holds, const char* rule) {
  if (!holds) throw std::logic_error(fmt::format("step: {}", rule));
}

void require_of(bool holds, const char* of, uint64_t index, const char* rule) {
  if (!holds) throw std::logic_error(fmt::format("step: {} {} has {}", of, index, rule));
}

void check_sizes(const abi::Step& step, const abi::ProgramShape& shape, const StepLimits& limits) {
  require_step(step.rows <= shape.rows && step.wanted.size() <= shape.wanted &&
                   step.sequences <= shape.sequences,
               "it is larger than the program was compiled for");
  require_step(step.prompt_rows <= step.rows, "it has more rows of prompts than rows");
  require_step(step.token.size() >= step.rows && step.position.size() >= step.rows &&
                   step.sequence.size() >= step.rows,
               "it has fewer tokens, positions or sequence numbers than rows");
  require_step(step.length.size() >= step.sequences, "it has fewer lengths than sequences");
  require_step(step.page.size() >= uint64_t{step.sequences} * shape.pages_per_sequence,
               "its page table is shorter than its sequences");
  require_step(step.inv_freq.size() >= uint64_t{step.sequences} * limits.rope_pairs,
               "its RoPE tables are shorter than its sequences");
  require_step(limits.slots ? step.adapter.size() == step.sequences : step.adapter.empty(),
               "it has adapters for another number of sequences");
}

bool is_first_of_sequence(const abi::Step& step, uint32_t row) {
  return row == 0 || step.sequence[row - 1] != step.sequence[row];
}

bool is_last_of_sequence(const abi::Step& step, uint32_t row) {
  return row + 1 == step.rows || step.sequence[row + 1] != step.sequence[row];
}

void check_row(const abi::Step& step, uint32_t r, const abi::ProgramShape& shape,
               const StepLimits& limits) {
  const uint32_t sequence = step.sequence[r], last_page = step.position[r] / limits.page_tokens;
  require_of(static_cast<uint32_t>(step.token[r]) < limits.tokens, "row", r,
             "a token outside the vocabulary");
  require_of(sequence < step.sequences, "row", r, "a sequence that is not there");
  require_of(last_page < shape.pages_per_sequence, "row", r, "a position beyond the page table");
  const bool alone = is_first_of_sequence(step, r) && is_last_of_sequence(step, r);
  require_of(alone == (r >= step.prompt_rows), "row", r,
             alone ? "a sequence for itself, but stands among the rows of prompts"
                   : "neighbours of its sequence, but stands behind the rows of prompts");
  if (!is_last_of_sequence(step, r)) {
    require_of(step.position[r] < step.position[r + 1], "row", r, "a position not before the next");
    return;
  }
  require_of(step.length[sequence] == step.position[r] + 1, "row", r,
             "a last position that is not its sequence's length - 1");
  // No kernel reads the pages after the last position.
  const uint32_t* pages = step.page.data() + uint64_t{sequence} * shape.pages_per_sequence;
  for (uint32_t p = 0; p <= last_page; ++p)
    require_of(pages[p] < limits.pages, "row", r, "a page that the cache does not have");
}

}  // namespace

StepLimits step_limits(const abi::Graph& graph) {
  constexpr uint32_t kAny = std::numeric_limits<uint32_t>::max();
  StepLimits limits{kAny, kAny, page_tokens_of(graph), rope_sizes_of(graph).pairs(), 0};
  for (const abi::Node& node : graph.nodes)
    if (node.op == abi::Op::embed)
      limits.tokens = std::min(limits.tokens, graph.tensors[node.in[0]].dim[0]);
  for (const abi::Tensor& tensor : graph.tensors) {
    if (tensor.kind == abi::TensorKind::cache) limits.pages = std::min(limits.pages, tensor.dim[0]);
    if (tensor.kind == abi::TensorKind::adapter) limits.slots = tensor.dim[0];
  }
  return limits;
}

void check_step(const abi::Step& step, const abi::ProgramShape& shape, const StepLimits& limits) {
  check_sizes(step, shape, limits);
  for (uint32_t r = 0; r < step.rows; ++r) check_row(step, r, shape, limits);
  for (uint32_t s = 0; s < step.sequences; ++s)
    require_of(step.length[s] <= uint64_t{shape.pages_per_sequence} * limits.page_tokens,
               "sequence", s, "a length beyond the page table");
  for (size_t s = 0; s < step.adapter.size(); ++s)
    require_of(step.adapter[s] == abi::kNoAdapter || step.adapter[s] < limits.slots, "sequence", s,
               "an adapter's slot that is not there");
  for (size_t w = 0; w < step.wanted.size(); ++w) {
    require_of(step.wanted[w] < step.rows, "wanted row", w, "a number beyond the step's rows");
    require_of(w == 0 || step.wanted[w - 1] < step.wanted[w], "wanted row", w,
               "a number not after the one before it");
  }
}

}  // namespace ropewalk
