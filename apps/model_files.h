// model_files.h — the small files that a model made of another one takes over from it.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/checkpoint/formats/output_folder.h"
#include "core/json/json_fwd.h"

namespace ropewalk {

inline constexpr std::string_view kModelConfig = "config.json";

// tokenizer.model, tokenizer.json and what belongs to them, where they are there.
void copy_tokenizer_files(const std::filesystem::path& from, OutputFolder& to);
// generation_config.json, LICENSE and NOTICE files.
void copy_model_documents(const std::filesystem::path& from, OutputFolder& to);

// config.json as text and as JSON. Throw Error (model).
std::string read_config_text(const std::filesystem::path& directory);
Json read_config_json(const std::filesystem::path& directory);

}  // namespace ropewalk
