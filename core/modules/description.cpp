#include "core/modules/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/utf8.h"
#include "core/modules/option_value.h"

namespace ropewalk {
namespace {

constexpr size_t kMaxText = 1000;
constexpr size_t kMaxName = 64;

[[noreturn]] void refuse_declaration(std::string_view where, std::string_view what) {
  throw Error(ExitCode::plugin, where, fmt::format("declares itself badly: {}", what),
              "Correct its ModuleInfo");
}

// A C string of a library. Refuses unprintable and too long ones.
std::string copy_text(const char* text, std::string_view field, std::string_view where) {
  if (!text) refuse_declaration(where, fmt::format("{} is null", field));
  const std::string_view view(text, strnlen(text, kMaxText + 1));
  if (view.empty()) refuse_declaration(where, fmt::format("{} is empty", field));
  if (view.size() > kMaxText)
    refuse_declaration(where, fmt::format("{} is longer than {} bytes", field, kMaxText));
  if (printable(view, kMaxText) != view)
    refuse_declaration(where, fmt::format("{} is not printable text: {}", field, printable(view)));
  return std::string(view);
}

// Names are written in YAML and looked up as file names.
std::string copy_name(const char* text, std::string_view field, std::string_view where) {
  std::string name = copy_text(text, field, where);
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (name.size() > kMaxName || name.front() == '.' || !std::ranges::all_of(name, allowed))
    refuse_declaration(
        where, fmt::format("{} is {}, expected at most {} letters, digits, -, _ and .", field,
                           printable(name), kMaxName));
  return name;
}

// May be empty, and may have line ends or the separator of a list.
std::string copy_default(const char* text, const std::string& field, std::string_view where) {
  const std::string_view view(text, strnlen(text, kMaxText + 1));
  if (view.size() > kMaxText || utf8_first_error(view) != std::string_view::npos)
    refuse_declaration(
        where, fmt::format("{}: default is not UTF-8 of at most {} bytes", field, kMaxText));
  return std::string(view);
}

OptionDescription describe_option(const abi::OptionInfo& info, std::string_view where) {
  OptionDescription option{.name = copy_name(info.name, "an option's name", where),
                           .type = info.type,
                           .default_value = {},
                           .help = "",
                           .minimum = info.minimum,
                           .maximum = info.maximum};
  const std::string field = fmt::format("option {}", option.name);
  if (type_name(option.type).empty())
    refuse_declaration(where, fmt::format("{} has an unknown type", field));
  option.help = copy_text(info.help, field + ": help", where);
  if (!(option.minimum <= option.maximum))
    refuse_declaration(
        where, fmt::format("{} has the range {} to {}", field, option.minimum, option.maximum));
  if (info.default_value) option.default_value = copy_default(info.default_value, field, where);
  if (option.default_value && !default_fits(option))
    refuse_declaration(where,
                       fmt::format("{} has the default {}, expected {}", field,
                                   printable(*option.default_value), expected_value(option)));
  return option;
}

}  // namespace

ModuleDescription describe_module(const abi::Module& module, std::string_view where) {
  ModuleDescription description{.kind = module.kind,
                                .name = copy_name(module.name, "name", where),
                                .version = copy_text(module.version, "version", where),
                                .help = copy_text(module.help, "help", where),
                                .source = module.source ? module.source : "",
                                .options = {}};
  if (!description.source.empty()) description.source = copy_text(module.source, "source", where);
  if (!module.create) refuse_declaration(where, "create is null");
  if (module.option_count > kMaxOptions)
    refuse_declaration(where, fmt::format("it has {} options, expected at most {}",
                                          module.option_count, kMaxOptions));
  if (module.option_count > 0 && !module.options) refuse_declaration(where, "options is null");
  for (uint32_t i = 0; i < module.option_count; ++i) {
    OptionDescription option = describe_option(module.options[i], where);
    if (std::ranges::find(description.options, option.name, &OptionDescription::name) !=
        description.options.end())
      refuse_declaration(where, fmt::format("option {} is there twice", option.name));
    description.options.push_back(std::move(option));
  }
  return description;
}

std::string_view kind_name(abi::ModuleKind kind) {
  switch (kind) {
    case abi::ModuleKind::backend:
      return "backend";
    case abi::ModuleKind::sampler:
      return "sampler";
    case abi::ModuleKind::prompt_format:
      return "prompt format";
    case abi::ModuleKind::rope_scaling:
      return "rope scaling";
  }
  return "";
}

std::string_view kind_folder(abi::ModuleKind kind) {
  switch (kind) {
    case abi::ModuleKind::backend:
      return "backends";
    case abi::ModuleKind::sampler:
      return "samplers";
    case abi::ModuleKind::prompt_format:
      return "prompt-formats";
    case abi::ModuleKind::rope_scaling:
      return "rope-scaling";
  }
  return "";
}

std::string_view type_name(abi::OptionType type) {
  switch (type) {
    case abi::OptionType::boolean:
      return "true or false";
    case abi::OptionType::integer:
      return "an integer";
    case abi::OptionType::number:
      return "a number";
    case abi::OptionType::text:
      return "text";
    case abi::OptionType::numbers:
      return "a list of numbers";
    case abi::OptionType::texts:
      return "a list of texts";
  }
  return "";
}

}  // namespace ropewalk
