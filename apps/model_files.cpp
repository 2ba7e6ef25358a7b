#include "apps/model_files.h"

#include <algorithm>
#include <array>
#include <string>

#include "core/checkpoint/formats/files.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxFile = uint64_t{256} << 20;
constexpr std::array<std::string_view, 7> kTokenizer{"tokenizer.model",
                                                     "tokenizer.json",
                                                     "tokenizer_config.json",
                                                     "special_tokens_map.json",
                                                     "added_tokens.json",
                                                     "vocab.json",
                                                     "merges.txt"};

bool is_tokenizer_file(std::string_view name) {
  return std::ranges::find(kTokenizer, name) != kTokenizer.end() ||
         name.starts_with("chat_template.");
}

bool is_document(std::string_view name) {
  return name == "generation_config.json" || name.starts_with("LICENSE") ||
         name.starts_with("NOTICE");
}

void copy_files(const std::filesystem::path& from, bool (*wanted)(std::string_view),
                OutputFolder& to) {
  const ModelDirectory directory(from);
  for (const std::string& name : directory.names())
    if (is_plain_name(name) && wanted(name)) to.add_text(name, directory.read_text(name, kMaxFile));
}

}  // namespace

void copy_tokenizer_files(const std::filesystem::path& from, OutputFolder& to) {
  copy_files(from, is_tokenizer_file, to);
}

void copy_model_documents(const std::filesystem::path& from, OutputFolder& to) {
  copy_files(from, is_document, to);
}

std::string read_config_text(const std::filesystem::path& directory) {
  return ModelDirectory(directory).read_text(kModelConfig, kMaxFile);
}

Json read_config_json(const std::filesystem::path& directory) {
  return parse_json(read_config_text(directory),
                    {ModelDirectory(directory).path_of(kModelConfig), ExitCode::model});
}

}  // namespace ropewalk
