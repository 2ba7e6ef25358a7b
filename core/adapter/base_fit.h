// base_fit.h — whether an adapter belongs to a base model, as far as names, shapes and sizes tell.
//
// A base of the same shape but other weights is not noticed here: that takes a text
// (docs/adapters.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/checkpoint/checkpoint.h"

namespace ropewalk {

inline constexpr std::string_view kTableModule = "model.embed_tokens", kHeadModule = "lm_head";

// The shape of a module's weight as nn.Linear holds it, or of a table (V, H); packed or not.
struct ModuleShape {
  uint64_t rows, cols;
  bool packed;  // GPTQ
};

// nullopt: the base has no such module. The head of a base that ties its tables is the table.
std::optional<ModuleShape> module_shape(const Checkpoint& base, std::string_view module);

// Throws Error (exit code model) where a module is not in the base or has another shape there,
// where a table grows without the other, or where the adapter would change nothing: every lora_B is
// zero.
void check_fit(const Adapter& adapter, const Checkpoint& base);

// Linear layers that the adapter changes, of those that the base's layers have.
struct Coverage {
  size_t adapted = 0, linears = 0;
};
Coverage coverage_of(const Adapter& adapter, const Checkpoint& base);

// How large a change is beside the weight that it changes.
struct Effect {
  const LowRank* pair;
  double change;                 // Frobenius norm of s B A
  std::optional<double> weight;  // of W; nullopt: W is packed, or there is no base
};
// In the order of low_ranks(). `base` may be nullptr. Reads every matrix of the adapter, and the
// weights that it changes.
std::vector<Effect> effects_of(const Adapter& adapter, const Checkpoint* base);

// Sentences about what looks wrong but need not be: another base's name, a change of unlikely size,
// fields that were ignored.
std::vector<std::string> doubts_of(const Adapter& adapter, const Checkpoint* base,
                                   const std::vector<Effect>& effects);

}  // namespace ropewalk
