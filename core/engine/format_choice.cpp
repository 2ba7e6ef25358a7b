#include "core/engine/format_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/formats/files.h"
#include "core/digest/sha256.h"
#include "core/engine/known_formats.h"
#include "core/json/json.h"

namespace ropewalk {
namespace {

constexpr uint64_t kMaxBytes = 16 << 20;  // of tokenizer_config.json, which lists added tokens
constexpr std::string_view kBlanks = " \t";

std::string chat_template_of(const JsonFields& fields) {
  constexpr std::string_view kKey = "chat_template";
  const Json& value = fields.json()[std::string(kKey)];
  if (!value.is_array()) return fields.text(kKey);
  for (const Json& named : value)
    if (named.is_object() && named.value("name", "") == "default")
      return named.value("template", "");
  fields.fail(kKey, "has no template named \"default\"", "Name a format in prompt.format");
}

struct Found {
  std::string file, text;
};

// In transformers' order.
std::optional<Found> find_template(const ModelDirectory& directory) {
  if (directory.contains("chat_template.jinja"))
    return Found{"chat_template.jinja", directory.read_text("chat_template.jinja", kMaxBytes)};
  for (const char* file : {"chat_template.json", "tokenizer_config.json"}) {
    if (!directory.contains(file)) continue;
    const JsonSource source{directory.path_of(file), ExitCode::model};
    const Json json = parse_json(directory.read_text(file, kMaxBytes), source);
    const JsonFields fields(json, source, "");
    if (fields.has("chat_template")) return Found{file, chat_template_of(fields)};
  }
  return std::nullopt;
}

}  // namespace

std::string template_hash(std::string_view chat_template) {
  std::string text;
  while (!chat_template.empty()) {
    const size_t end = std::min(chat_template.find('\n'), chat_template.size());
    std::string_view line = chat_template.substr(0, end);
    if (line.ends_with('\r') && end < chat_template.size()) line.remove_suffix(1);
    text += line.substr(0, line.find_last_not_of(kBlanks) + 1);
    text += '\n';
    chat_template.remove_prefix(std::min(end + 1, chat_template.size()));
  }
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string::npos) return sha256("");
  return sha256(std::string_view(text).substr(first, text.find_last_not_of(" \t\n") + 1 - first));
}

namespace {

constexpr const char* kAdvice =
    "Name a format in prompt.format; `ropewalk plugins prompt-formats` lists them";

const KnownFormat* known_by(const std::string& hash) {
  for (const KnownFormat& row : known_formats())
    if (hash.starts_with(row.hash)) return &row;
  return nullptr;
}

// The format of the folder's chat template, where it is known.
FormatChoice by_template(const std::filesystem::path& model) {
  FormatChoice choice;
  const std::optional<Found> found = find_template(ModelDirectory(model));
  if (!found) return choice;
  choice.from = "the chat template of " + found->file;
  choice.hash = template_hash(found->text);
  choice.source = FormatSource::unknown_template;
  const KnownFormat* known = known_by(choice.hash);
  if (!known) return choice;
  choice.source = FormatSource::chat_template;
  choice.plugin.name = known->format;
  choice.plugin.where = {.file = choice.from};
  for (const auto& [name, value] : known->options)
    choice.plugin.options.push_back({std::string(name), choice.plugin.where,
                                     make_scalar(std::string(value), choice.plugin.where)});
  return choice;
}

// What `auto` stands for.
FormatChoice automatic(const Config& config, const Where& where) {
  FormatChoice choice = by_template(config.model);
  if (choice.source == FormatSource::nothing)
    throw Error(ExitCode::usage, where.text() + ": prompt.format",
                "found auto, but the model's folder has no chat template", kAdvice);
  if (choice.source == FormatSource::unknown_template)
    throw Error(ExitCode::usage, where.text() + ": prompt.format",
                fmt::format("found auto, but no format is known for {} (SHA-256 {})", choice.from,
                            choice.hash),
                kAdvice);
  return choice;
}

}  // namespace

FormatChoice choose_format(const Config& config) {
  const std::optional<PluginChoice>& named = config.prompt.format;
  if (named && named->name == "auto") return automatic(config, named->where);
  if (named)
    return {.plugin = *named,
            .source = FormatSource::configuration,
            .from = named->where.text(),
            .hash = ""};
  try {
    return by_template(config.model);
  } catch (const Error& error) {
    // A template that was not asked for must not keep a model from running.
    std::string said = error.what();
    if (said.ends_with('.')) said.pop_back();
    return {.source = FormatSource::unknown_template, .from = said, .hash = ""};
  }
}

void tell_of_format(const FormatChoice& choice) {
  if (choice.source == FormatSource::chat_template)
    note(fmt::format("prompt format {}, by {}; prompt.format names another", choice.plugin.name,
                     choice.from));
  if (choice.source == FormatSource::unknown_template)
    warn(fmt::format("prompts are raw text, because {}. {}, or raw", reason_of(choice), kAdvice));
}

std::string reason_of(const FormatChoice& choice) {
  switch (choice.source) {
    case FormatSource::configuration:
    case FormatSource::chat_template:
      return choice.from;
    case FormatSource::unknown_template:
      return choice.hash.empty()
                 ? fmt::format("the chat template cannot be read ({})", choice.from)
                 : fmt::format("no format is known for {} (SHA-256 {})", choice.from, choice.hash);
    case FormatSource::nothing:
      return "the model's folder has no chat template";
  }
  return "";
}

}  // namespace ropewalk
