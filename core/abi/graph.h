// graph.h — a model as a device sees it: tensors, nodes, and the step that runs them.
//
// The meaning of every op is written in core/graph/ops.md, and the CPU backend is its definition in
// code. A graph is a list of nodes in execution order. It never changes after the device has
// claimed its nodes; what changes from step to step (tokens, positions, page tables) is data in a
// Step.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "core/abi/weight.h"

namespace ropewalk::abi {

enum class Op : uint16_t {
  embed = 1,
  rms_norm,
  matmul,
  rope,
  kv_append,
  attention,
  silu_mul,
  add,
  permute,
  select,
  gelu_mul,
  low_rank,
};

struct OpInfo {
  Op op;
  std::string_view name;  // as in core/graph/ops.md, and the stem of the op's files
};

// Every op, in the order of the enumerators. Code that must handle every op has a `switch` over Op
// without a default: all our targets are compiled with -Werror=switch.
inline constexpr OpInfo kOps[] = {
    {Op::embed, "embed"},         {Op::rms_norm, "rms_norm"},
    {Op::matmul, "matmul"},       {Op::rope, "rope"},
    {Op::kv_append, "kv_append"}, {Op::attention, "attention"},
    {Op::silu_mul, "silu_mul"},   {Op::add, "add"},
    {Op::permute, "permute"},     {Op::select, "select"},
    {Op::gelu_mul, "gelu_mul"},   {Op::low_rank, "low_rank"},
};

// "unknown" for a value outside the enumeration.
constexpr std::string_view op_name(Op op) {
  for (const OpInfo& known : kOps)
    if (known.op == op) return known.name;
  return "unknown";
}

constexpr bool is_known(Op op) {
  for (const OpInfo& known : kOps)
    if (known.op == op) return true;
  return false;
}

// Storage owned by one Device; 0 names nothing.
struct Buffer {
  uint64_t id = 0;
};

struct Slice {
  Buffer buffer;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Symbolic sizes of a tensor's first dimension: the rows of the step, and the rows whose logits are
// wanted. A program fixes their upper bounds, a Step their values.
inline constexpr uint32_t kRows = 0xffffffffu;
inline constexpr uint32_t kWanted = 0xfffffffeu;

enum class TensorKind : uint8_t {
  weight = 1,    // written once by Device::pack; layout chosen by the device
  constant = 2,  // written once by Device::write: f32 vectors, i32 orders, as ops.md says
  cache = 3,  // (pages, page size, kv_heads, head_dim): kv_page.h; a page's layout is the device's
  scratch = 4,  // activations; offsets planned by the core
  // (slots, ...) the low-rank matrices of adapters, f16, their ranks, i32, and vectors, f32; dense;
  // a slot is written by Device::write between steps
  adapter = 5,
};

struct Tensor {
  std::string_view name;  // "layers.0.attention.q_proj"; for messages, traces and plans
  TensorKind kind;
  DType dtype;
  uint8_t bits;  // GPTQ weights: 2, 3, 4 or 8
  uint8_t rank;
  uint32_t group_size;  // GPTQ weights
  uint32_t dim[4];      // dense, row-major
  Slice at;             // empty for a hidden value of a claimed fusion
};

// The product of a tensor's dimensions after the first.
inline uint64_t row_width(const Tensor& tensor) {
  uint64_t width = 1;
  for (uint32_t i = 1; i < tensor.rank; ++i) width *= tensor.dim[i];
  return width;
}

// How the keys of an attention node lie in the cache.
enum class KeyRotation : uint32_t {
  before_cache = 0,  // rope ran before kv_append; attention reads keys as they are
  on_read = 1,       // keys are cached unrotated; attention rotates query and keys by the table
};

// An op's parameters; core/graph/ops.md gives the formulas.
struct EmbedParams {
  float scale = 1;  // of the table's numbers
};

struct NormParams {
  float epsilon = 0;
};

struct RopeParams {
  float scale = 1;     // multiplies sine and cosine: the attention scale of the RoPE policy
  uint32_t table = 0;  // of the sequence's RoPE tables
};

struct AttentionParams {
  float scale = 1;  // of the scores q . k
  KeyRotation rotation = KeyRotation::before_cache;
  uint32_t window = 0;  // keys that a query sees, its own included; 0: no limit
  float soft_cap = 0;   // scores become soft_cap * tanh(score / soft_cap); 0: no cap
  uint32_t table = 0;   // on_read: of the sequence's RoPE tables
};

struct AddParams {
  float scale = 1;  // of b
};

using NodeParams =
    std::variant<std::monostate, EmbedParams, NormParams, RopeParams, AttentionParams, AddParams>;

struct Node {
  std::string_view name;
  Op op;
  std::span<const uint32_t> in, out;  // indices into Graph::tensors
  NodeParams params = {};             // of `op`; std::monostate where it has none

  // REQUIRES: the op has these params; bad_variant_access otherwise.
  const EmbedParams& embed() const { return std::get<EmbedParams>(params); }
  const NormParams& norm() const { return std::get<NormParams>(params); }
  const RopeParams& rope() const { return std::get<RopeParams>(params); }
  const AttentionParams& attention() const { return std::get<AttentionParams>(params); }
  const AddParams& add() const { return std::get<AddParams>(params); }
};

struct Graph {
  std::span<const Node> nodes;
  std::span<const Tensor> tensors;
  std::span<const uint32_t> outputs;  // tensors that the host reads after wait()
};

// The adapter of a sequence that has none.
inline constexpr uint32_t kNoAdapter = 0xffffffffu;

// One step runs R rows (tokens) of S sequences. Prompt chunks and single-token decodes mix freely:
// sequences that have several rows in the step come first, with prompt_rows in all, then those that
// have one. So a row's index tells a device whether other rows read the same keys.
// The rows of a sequence are consecutive and in order of position; a row's position is its rotary
// position and its place in the cache: page[position / T], entry position % T, for pages of T
// tokens (kv_page.h).
// Row r sees the keys 0 .. position[r] of its sequence, or the last of them (AttentionParams).
struct Step {
  uint32_t rows = 0;                   // R
  uint32_t prompt_rows = 0;            // the rows [0, prompt_rows) belong to prompt chunks
  uint32_t sequences = 0;              // S
  std::span<const int32_t> token;      // (R)
  std::span<const uint32_t> position;  // (R)
  std::span<const uint32_t> sequence;  // (R)  which of the S sequences
  std::span<const uint32_t> length;    // (S)  keys visible to the sequence's last row in this step
  std::span<const uint32_t> page;      // (S, pages_per_sequence)  key-value page table
  std::span<const uint32_t> wanted;    // (W)  ascending rows whose logits will be read
  // (S, T, head_dim / 2) the sequences' RoPE tables, as many as nodes name; 0 for a pair that is
  // not rotated
  std::span<const float> inv_freq;
  // (S) the slots of the sequences' adapters, or kNoAdapter; for graphs with the op low_rank
  std::span<const uint32_t> adapter = {};
};

}  // namespace ropewalk::abi
