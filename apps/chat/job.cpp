#include "apps/chat/job.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "apps/input.h"
#include "core/base/error.h"
#include "core/config/file.h"
#include "core/config/nearest.h"
#include "core/config/scalars.h"
#include "core/config/yaml.h"

namespace ropewalk {
namespace {

[[noreturn]] void refuse_job(const ConfigValue& value, std::string_view key,
                             std::string_view expected, std::string_view advice) {
  throw Error(ExitCode::usage, value.where.text(),
              fmt::format("{}: {}", key, mismatch(value, expected)), advice);
}

// The value as a map with no other keys than these.
const ConfigValue& map_of(const ConfigValue& value, std::string_view key,
                          const std::vector<std::string>& names) {
  if (value.kind != ValueKind::map)
    refuse_job(value, key, fmt::format("a map of {}", fmt::join(names, ", ")), "");
  for (const ConfigEntry& entry : value.entries)
    if (std::ranges::find(names, entry.key) == names.end())
      throw Error(ExitCode::usage, entry.where.text(),
                  fmt::format("found the unknown key {}", printable(entry.key)),
                  suggestion(entry.key, names));
  return value;
}

// The text as written, quoted or not: here a date and a number are texts too.
std::string job_text_of(const ConfigValue& value, std::string_view key) {
  if (value.kind != ValueKind::scalar) refuse_job(value, key, "a text", "");
  return value.text;
}

std::vector<ContextEntry> read_metadata(const ConfigValue* meta) {
  std::vector<ContextEntry> entries;
  if (!meta) return entries;
  if (meta->kind != ValueKind::map) refuse_job(*meta, "meta", "a map of keys and texts", "");
  for (const ConfigEntry& entry : meta->entries)
    entries.push_back({entry.key, job_text_of(entry.value, "meta." + entry.key)});
  return entries;
}

ContextInput read_one(const ConfigValue& item, const std::filesystem::path& folder) {
  map_of(item, "inputs", {"file", "text", "meta"});
  const ConfigValue* file = item.find("file");
  const ConfigValue* text = item.find("text");
  if (!file == !text)
    throw Error(ExitCode::usage, item.where.text(),
                fmt::format("inputs: found {} file and text, expected one of them",
                            file ? "both" : "neither"),
                "");
  ContextInput input{.where = item.where.text(),
                     .metadata = read_metadata(item.find("meta")),
                     .text = text ? job_text_of(*text, "text") : ""};
  if (file) {
    input.where = (folder / job_text_of(*file, "file")).lexically_normal().string();
    input.text = read_text(input.where);
  }
  return input;
}

void refuse_none(bool none, std::string_view key, const std::string& file) {
  if (none)
    throw Error(ExitCode::usage, file, fmt::format("found no {}, expected one or more", key), "");
}

}  // namespace

ClosedContextJob read_job(const std::string& file, Trust trust) {
  const ConfigValue tree = parse_yaml(read_config_file(file, trust), file);
  map_of(tree, "job", {"inputs", "instructions", "plain"});
  ClosedContextJob job;
  if (const ConfigValue* inputs = tree.find("inputs")) {
    if (inputs->kind != ValueKind::list) refuse_job(*inputs, "inputs", "a list", "");
    const std::filesystem::path folder = std::filesystem::path(file).parent_path();
    for (const ConfigValue& item : inputs->items) job.inputs.push_back(read_one(item, folder));
  }
  if (const ConfigValue* given = tree.find("instructions")) {
    if (given->kind == ValueKind::scalar) job.instructions.push_back(given->text);
    if (given->kind == ValueKind::map || given->kind == ValueKind::null)
      refuse_job(*given, "instructions", "a text or a list of texts", "");
    for (const ConfigValue& item : given->items)
      job.instructions.push_back(job_text_of(item, "instructions"));
  }
  if (const ConfigValue* plain = tree.find("plain")) {
    const std::optional<bool> value = as_boolean(*plain);
    if (!value) refuse_job(*plain, "plain", "true or false", "");
    job.plain = *value;
  }
  refuse_none(job.inputs.empty(), "inputs", file);
  refuse_none(job.instructions.empty(), "instructions", file);
  return job;
}

}  // namespace ropewalk
