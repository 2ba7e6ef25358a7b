#include "core/generate/vocabulary.h"

#include "core/engine/engine.h"

namespace ropewalk {

Vocabulary vocabulary_of(Engine& engine) {
  std::string_view format;
  if (engine.has_text()) format = engine.text().format_choice().plugin.name;
  return {.tokenizer = engine.has_text() ? &engine.tokenizer() : nullptr,
          .end_ids = engine.end_ids(),
          .rows = engine.runtime().executor().vocab_size(),
          .sampled = engine.sampled_vocab(),
          .banned = engine.banned_ids(),
          .format = format};
}

}  // namespace ropewalk
