// companions.h — the small files of a merged model: the base's config.json with what changed, its
// tokenizer, licence and the like.
#pragma once

#include <optional>

#include "core/adapter/merged_checkpoint.h"
#include "core/checkpoint/formats/output_folder.h"

namespace ropewalk {

// Tokenizer, generation_config.json, licence. The tokenizer's files are those of the adapter that
// brings tables of another size, else the base's. Throws Error (model) where such an adapter has
// none, or one of more tokens than its tables have rows.
void add_companions(const MergedCheckpoint& merged, OutputFolder& folder);

// config.json with what the merge changes; where that is nothing it is the base's, byte for byte.
void add_config(const MergedCheckpoint& merged, std::optional<StoredType> type,
                OutputFolder& folder);

}  // namespace ropewalk
