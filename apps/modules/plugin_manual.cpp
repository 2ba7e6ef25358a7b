#include "apps/modules/plugin_manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace ropewalk {
namespace {

// A tab or a line end in a default, as YAML writes it between double quotes.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (c == '"' || c == '\\')
      out += std::string("\\") + c;
    else
      out += c;
  }
  return out;
}

std::string yaml_item(std::string_view item, abi::OptionType type) {
  const bool text = type == abi::OptionType::text || type == abi::OptionType::texts;
  return text ? "\"" + escaped(item) + "\"" : std::string(item);
}

std::string range_text(const OptionDescription& option) {
  const bool low = std::isfinite(option.minimum), high = std::isfinite(option.maximum);
  if (low && high) return fmt::format("{} to {}", option.minimum, option.maximum);
  if (low) return fmt::format("at least {}", option.minimum);
  if (high) return fmt::format("at most {}", option.maximum);
  return "";
}

constexpr size_t kColumn = 100;  // max width of a table's cell

// Escapes what would end a cell or start markup.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text)
    out += c == '|' ? std::string("\\|") : c == '<' ? "&lt;" : std::string(1, c);
  return printable(out, 4 * kColumn);
}

std::string code(std::string_view text) {
  return text.empty() ? "" : "`" + printable(text, 4 * kColumn) + "`";
}

std::string markdown_section(const ModuleDescription& module) {
  std::string out = fmt::format("### {}\n\n{}. Source: {}.\n\n", module.name, cell(module.help),
                                cell(module.source));
  if (module.options.empty()) return out + "No options.\n\n";
  out += "| option | type | default | range | |\n|---|---|---|---|---|\n";
  for (const OptionDescription& option : module.options)
    out += fmt::format("| `{}` | {} | {} | {} | {} |\n", option.name, option_type_name(option.type),
                       code(option_default(option)), range_text(option), cell(option.help));
  return out + "\n";
}

struct Section {
  abi::ModuleKind kind;
  std::string_view title, text;
};

constexpr Section kSections[] = {
    {abi::ModuleKind::sampler, "Samplers",
     "Lines under `sampling:`, run from top to bottom. A lone value after the name is the first "
     "option."},
    {abi::ModuleKind::prompt_format, "Prompt formats",
     "`prompt: {format: NAME}`, or `prompt: {format: {NAME: {option: value}}}`."},
    {abi::ModuleKind::rope_scaling, "RoPE scaling", "`rope: {policy: NAME, option: value}`."},
};

}  // namespace

std::string_view option_type_name(abi::OptionType type) {
  switch (type) {
    case abi::OptionType::boolean:
      return "boolean";
    case abi::OptionType::integer:
      return "integer";
    case abi::OptionType::number:
      return "number";
    case abi::OptionType::text:
      return "text";
    case abi::OptionType::numbers:
      return "numbers";
    case abi::OptionType::texts:
      return "texts";
  }
  return "unknown";
}

std::string option_default(const OptionDescription& option) {
  if (!option.default_value) return "";
  const bool list =
      option.type == abi::OptionType::numbers || option.type == abi::OptionType::texts;
  if (!list) return yaml_item(*option.default_value, option.type);
  std::string out;
  std::string_view rest = *option.default_value;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(abi::kItemSeparator), rest.size());
    out += (out.empty() ? "" : ", ") + yaml_item(rest.substr(0, end), option.type);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "[" + out + "]";
}

std::string manual(const ModuleListing& listing) {
  if (!listing.description)
    return fmt::format("refused {}: {}\n", printable(listing.file.string(), 400),
                       printable(listing.verdict, 2000));
  const ModuleDescription& module = *listing.description;
  std::string out =
      fmt::format("{} {} {}: {}\n  {}\n  source: {}\n", kind_name(module.kind),
                  printable(module.name), printable(module.version), printable(module.help, 400),
                  printable(listing.file.string(), 400), printable(module.source, 400));
  for (const OptionDescription& option : module.options) {
    const std::string range = range_text(option);
    const std::string by_default =
        option.default_value ? ", default " + printable(option_default(option)) : "";
    out +=
        fmt::format("  - {} ({}{}{}): {}\n", printable(option.name), option_type_name(option.type),
                    range.empty() ? "" : ", " + range, by_default, printable(option.help, 400));
  }
  return out;
}

std::string markdown_manual(const std::vector<ModuleListing>& listings) {
  std::string out =
      "# Plugins\n\n"
      "Written by `ropewalk plugins --markdown` from what the plugins say of themselves; a test "
      "compares the two.\nFor writing one: [samplers](writing-a-sampler.md), "
      "[prompt formats](writing-a-prompt-format.md),\n"
      "[RoPE scaling](writing-a-rope-scaling.md).\n\n";
  for (const Section& section : kSections) {
    out += fmt::format("## {}\n\n{}\n\n", section.title, section.text);
    for (const ModuleListing& listing : listings)
      if (listing.description && listing.description->kind == section.kind)
        out += markdown_section(*listing.description);
  }
  out.pop_back();  // one line end at the end of a file
  return out;
}

}  // namespace ropewalk
