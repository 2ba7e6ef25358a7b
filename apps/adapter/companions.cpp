#include "apps/adapter/companions.h"

#include <fmt/format.h>

#include <string_view>

#include "apps/model_files.h"
#include "core/base/error.h"
#include "core/json/json.h"
#include "core/text/tokenizer.h"

namespace ropewalk {
namespace {

void check_tokenizer(const Adapter& adapter, uint32_t rows) {
  const ModelDirectory directory(adapter.directory());
  const auto refuse = [&](const std::string& what) {
    throw Error(ExitCode::model, adapter.directory().string(), what,
                "Save the tokenizer that was trained with it into the adapter's folder");
  };
  if (!directory.contains("tokenizer.model") && !directory.contains("tokenizer.json"))
    refuse(fmt::format("brings tables of {} tokens, but no tokenizer", rows));
  const uint32_t tokens = Tokenizer::open(adapter.directory(), {}).vocab_size();
  if (tokens > rows)
    refuse(fmt::format("brings tables of {} tokens, but a tokenizer of {}", rows, tokens));
}

std::string_view torch_name(StoredType type) {
  return type == StoredType::f32 ? "float32" : type == StoredType::f16 ? "float16" : "bfloat16";
}

// The base's text with the fields that the merge changes.
std::string config_text(const MergedCheckpoint& merged, std::optional<StoredType> type) {
  Json config = read_config_json(merged.directory());
  const Json before = config;
  if (type) config[config.contains("dtype") ? "dtype" : "torch_dtype"] = torch_name(*type);
  if (merged.new_vocabulary()) config["vocab_size"] = merged.config().vocab_size;
  if (!merged.config().tied_embeddings && config.value("tie_word_embeddings", false))
    config["tie_word_embeddings"] = false;
  return config == before ? read_config_text(merged.directory()) : config.dump(2) + "\n";
}

}  // namespace

void add_companions(const MergedCheckpoint& merged, OutputFolder& folder) {
  const Adapter* owner = merged.new_vocabulary();
  if (owner) check_tokenizer(*owner, merged.config().vocab_size);
  copy_tokenizer_files(owner ? owner->directory() : merged.directory(), folder);
  copy_model_documents(merged.directory(), folder);
}

void add_config(const MergedCheckpoint& merged, std::optional<StoredType> type,
                OutputFolder& folder) {
  folder.add_text(std::string(kModelConfig), config_text(merged, type));
}

}  // namespace ropewalk
