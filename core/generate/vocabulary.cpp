#include "core/generate/vocabulary.h"

#include "core/engine/engine.h"

namespace ropewalk {

Vocabulary vocabulary_of(Engine& engine) {
  return {.tokenizer = engine.has_text() ? &engine.tokenizer() : nullptr,
          .end_ids = engine.end_ids(),
          .rows = engine.runtime().executor().vocab_size(),
          .sampled = engine.sampled_vocab(),
          .banned = engine.banned_ids(),
          .format = engine.has_text() ? engine.text().format_choice().plugin.name : ""};
}

}  // namespace ropewalk
