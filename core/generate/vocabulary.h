// vocabulary.h — what requests need to know of a model: its tokens and which of them end a reply.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/text/tokenizer.h"

namespace ropewalk {

class Engine;

// Refers to what the engine owns. Const, so safe to share between threads.
struct Vocabulary {
  const Tokenizer* tokenizer;  // nullptr: ids have no text
  std::span<const int32_t> end_ids;
  uint32_t rows;     // of the model: a step gives this many logits for a token
  uint32_t sampled;  // the first ones, which may be sampled; the rest are padding
  std::span<const int32_t> banned = {};  // padding among those
  std::string_view format = {};          // of prompts, for messages
};

// REQUIRES: the engine outlives what is returned.
Vocabulary vocabulary_of(Engine& engine);

}  // namespace ropewalk
