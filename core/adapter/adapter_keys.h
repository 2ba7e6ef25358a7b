// adapter_keys.h — what the names of an adapter's tensors say.
//
//   base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight
//   |-- prefix ----||------------ module ----------||-role-|
//
// Saved by PEFT the adapter's own name is not in it; a raw dump has `.lora_A.default.weight`. Pure
// functions. Source: peft 0.20, utils/save_and_load.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {

enum class AdapterRole : uint8_t {
  a,            // lora_A (r, K)
  b,            // lora_B (N, r)
  b_bias,       // lora_B.bias (N)
  table_a,      // lora_embedding_A (r, V)
  table_b,      // lora_embedding_B (H, r)
  magnitude,    // lora_magnitude_vector (N)
  token_rows,   // token_adapter.trainable_tokens_delta (T, H)
  replacement,  // a tensor of the base, whole
};

struct AdapterKey {
  AdapterRole role;
  std::string target;   // a module; of a replacement the base's tensor
  std::string adapter;  // its own name; empty: not in the key
};

// nullopt: nothing that PEFT's LoRA saves.
std::optional<AdapterKey> parse_adapter_key(std::string_view name);

// The name under which PEFT saves it.
std::string adapter_key(AdapterRole role, std::string_view target);

}  // namespace ropewalk
