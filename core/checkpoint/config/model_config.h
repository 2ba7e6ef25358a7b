// model_config.h — what config.json and generation_config.json say about a model, in one spelling.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json/json_fwd.h"

namespace ropewalk {

// The RoPE policy that the checkpoint names. `policy` is a plugin's name ("none", "linear",
// "dynamic-ntk", "yarn", ...); options carry transformers' names and values as text, lists joined
// by abi::kItemSeparator.
struct RopeConfig {
  std::string policy = "none";
  std::map<std::string, std::string> options;
  double theta = 10000.0;
  double local_theta = 0;  // of a second table without scaling, for layers that slide; 0: none
  uint32_t original_max_position = 0;  // 0: not said
};

// Which linear layers have a bias.
enum class Biases {
  as_stored,  // those that the checkpoint has one for
  none,
  of_qkv,        // q_proj, k_proj and v_proj, each of which must have one
  of_attention,  // the same, and o_proj
};

// What the MLP makes of its gate.
enum class Activation { silu, gelu_tanh };

// Where a layer normalises.
enum class Norms {
  before,            // what attention and MLP read
  before_and_after,  // and what they add to the residual
  after,             // what they add alone
};

// q_norm and k_norm, before rope.
enum class QueryNorms {
  none,
  of_heads,  // each head alone, all by one weight
  of_rows,   // all heads of a row together
};

// Factors that a family puts where Llama has none.
struct Scales {
  double embedding = 1;  // of the embedding's numbers
  double residual = 1;   // of what attention and MLP add to the residual
  double attention = 0;  // of the scores; 0: 1 / sqrt(head_dim)
  double logits = 1;
  // Caps: x becomes cap * tanh(x / cap); 0: none.
  double score_cap = 0;
  double logit_cap = 0;
};

struct ModelConfig {
  std::string model_type;  // of its family
  uint32_t vocab_size = 0;
  uint32_t hidden_size = 0;
  uint32_t intermediate_size = 0;
  uint32_t layers = 0;
  uint32_t heads = 0;
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t max_position = 0;    // max_position_embeddings, which RoPE policies ask for
  uint32_t trained_length = 0;  // positions that the model was tuned for, wherever that is said
  double rms_norm_eps = 0;
  bool tied_embeddings = false;
  Biases biases = Biases::as_stored;
  bool fuses_layers = false;  // may store q, k, v as qkv_proj and gate, up as gate_up_proj
  Activation activation = Activation::silu;
  Norms norms = Norms::before;
  bool norms_add_one = false;  // a norm multiplies by 1 + its weight
  QueryNorms query_norms = QueryNorms::none;
  uint32_t window = 0;  // keys that the queries of sliding layers see, their own included; 0: all
  std::vector<bool> slides = {};   // (layers); empty: every layer slides where there is a window
  std::vector<bool> rotates = {};  // (layers); empty: rope rotates queries and keys of every layer
  Scales scales;
  uint32_t rotary_dims = 0;  // the first ones of a head, which rope rotates; 0: all
  RopeConfig rope;
  std::vector<int32_t> eos_ids = {2};  // config.json's, extended by generation_config.json's

  bool rotates_in(uint32_t layer) const { return rotates.empty() || rotates[layer]; }
  uint32_t rotated() const { return rotary_dims ? rotary_dims : head_dim; }
  bool slides_in(uint32_t layer) const { return slides.empty() || slides[layer]; }
  uint32_t window_of(uint32_t layer) const { return slides_in(layer) ? window : 0; }
  uint32_t rope_table_of(uint32_t layer) const { return rope.local_theta != 0 && slides_in(layer); }
};

// What a key of config.json is where it is left out.
struct KeyDefault {
  std::string_view key;
  double value;
};

// A family of models as its config.json files describe it.
struct ConfigFamily {
  std::string_view name;                            // as people call it
  std::string_view model_type;                      // as config.json writes it
  std::span<const std::string_view> architectures;  // the first is the one that messages name
  // Reads keys that only this family has, after the common ones; nullptr: there are none.
  void (*read)(const JsonFields& fields, ModelConfig& config);
  // Of the keys that change what is computed and are errors elsewhere, those that this family has.
  std::span<const std::string_view> own_keys = {};
  Activation activation = Activation::silu;
  // The model also has parts for pictures: what its text part is stands in text_config, where
  // transformers leaves out what is the default.
  bool within_text_config = false;
  std::span<const KeyDefault> text_defaults = {};

  bool has_key(std::string_view key) const {
    return std::ranges::find(own_keys, key) != own_keys.end();
  }
};

// Reads DIR/config.json and, where present, DIR/generation_config.json. Accepts every spelling that
// transformers 4 and 5 write; refuses models of none of these families, impossible shapes and
// unknown rope types by field. Throws Error (exit code model).
ModelConfig read_model_config(const std::filesystem::path& directory,
                              std::span<const ConfigFamily> families);

// Whether DIR/config.json names one of these families; does nothing where there is none. Throws
// Error (model) that names the model's own.
void check_family(const std::filesystem::path& directory, std::span<const ConfigFamily> families);

// The part of it that is a pure function of config.json's text: everything but the special ids.
ModelConfig parse_model_config(const Json& json, const JsonSource& source,
                               std::span<const ConfigFamily> families);

}  // namespace ropewalk
