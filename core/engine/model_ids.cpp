#include "core/engine/model_ids.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/log.h"

namespace ropewalk {
namespace {

// Rows are padded to a multiple of at most a few hundred; a tokenizer that leaves more without an
// id is of another model.
constexpr uint32_t kMaxPadding = 512;
constexpr uint32_t kMaxPaddingShare = 16;  // of the rows, one in

void check_pieces(const Tokenizer& tokenizer, uint32_t rows) {
  for (uint32_t id = rows; id < tokenizer.vocab_size(); ++id) {
    const auto signed_id = static_cast<int32_t>(id);
    if (tokenizer.added().find_id(signed_id) || tokenizer.text_of(signed_id).bytes.empty())
      continue;
    throw Error(ExitCode::model, tokenizer.file(),
                fmt::format("the tokenizer has {} ids, config.json says vocab_size {}",
                            tokenizer.vocab_size(), rows),
                "Use the tokenizer that belongs to this model");
  }
}

void warn_of_padding(const Tokenizer& tokenizer, uint32_t rows) {
  const uint32_t ids = tokenizer.vocab_size();
  if (ids >= rows) return;
  if (rows - ids > std::max(kMaxPadding, rows / kMaxPaddingShare))
    warn(
        fmt::format("{}: the tokenizer has {} ids, the model {} rows; it is probably another "
                    "model's",
                    tokenizer.file(), ids, rows));
  else
    verbose(
        fmt::format("the model has {} rows more than the tokenizer has ids; they are never sampled",
                    rows - ids));
}

bool has(const std::vector<int32_t>& ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

ModelIds match_ids(const Tokenizer& tokenizer, const ModelConfig& model) {
  const uint32_t rows = model.vocab_size, known = std::min(tokenizer.vocab_size(), rows);
  check_pieces(tokenizer, rows);
  warn_of_padding(tokenizer, rows);
  ModelIds ids{.end_ids = model.eos_ids, .sampled = known, .banned = {}};
  for (const int32_t id : model.eos_ids) {
    if (static_cast<uint32_t>(id) < known) continue;
    warn(
        fmt::format("eos_token_id {} is no id of the tokenizer, which has {}; it ends a reply all "
                    "the same",
                    id, known));
    ids.sampled = std::max(ids.sampled, static_cast<uint32_t>(id) + 1);
  }
  for (uint32_t id = known; id < ids.sampled; ++id)
    if (const auto row = static_cast<int32_t>(id); !has(model.eos_ids, row))
      ids.banned.push_back(row);
  if (tokenizer.eos() && !has(ids.end_ids, tokenizer.eos_id()))
    ids.end_ids.push_back(tokenizer.eos_id());
  return ids;
}

ModelIds all_ids(const ModelConfig& model) {
  return {.end_ids = model.eos_ids, .sampled = model.vocab_size, .banned = {}};
}

}  // namespace ropewalk
