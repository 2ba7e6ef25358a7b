#include "core/generate/vocabulary.h"

#include "core/engine/engine.h"

namespace ropewalk {

Vocabulary vocabulary_of(Engine& engine) {
  return {engine.tokenizer(), engine.end_ids(), engine.runtime().executor().vocab_size(),
          engine.sampled_vocab()};
}

}  // namespace ropewalk
