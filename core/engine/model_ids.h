// model_ids.h — which ids of a model end a reply and which may be sampled: its rows held against
// its tokenizer.
#pragma once

#include <cstdint>
#include <vector>

#include "core/checkpoint/config/model_config.h"
#include "core/text/tokenizer.h"

namespace ropewalk {

struct ModelIds {
  std::vector<int32_t> end_ids;  // end a reply: the model's and the tokenizer's
  uint32_t sampled = 0;          // ids below this may be sampled,
  std::vector<int32_t> banned;   // except these: padding rows below an end id
};

// Added tokens without a row are allowed: no text spells them, and a prompt that needs one is
// refused when it is made. Throws Error (model) for a tokenizer with more pieces than the model has
// rows. Warns, before anything large is read, where the tokenizer looks like another model's, and
// of an end id that it does not know.
ModelIds match_ids(const Tokenizer& tokenizer, const ModelConfig& model);

// Without a tokenizer: every row may be sampled.
ModelIds all_ids(const ModelConfig& model);

}  // namespace ropewalk
