// options.h — options that several formats have.
#pragma once

#include <string>

#include "core/abi/options.h"

namespace ropewalk::formats {

inline constexpr abi::OptionInfo kDefaultSystemOption{
    .name = "default_system",
    .type = abi::OptionType::text,
    .default_value = "",
    .help = "the system text where prompt.system gives none"};

constexpr abi::OptionInfo thinking_option(const char* help) {
  return {
      .name = "thinking", .type = abi::OptionType::boolean, .default_value = "true", .help = help};
}

// An option and not the clock's date, so that a run does not change with the day.
constexpr abi::OptionInfo date_option(const char* day) {
  return {.name = "date",
          .type = abi::OptionType::text,
          .default_value = day,
          .help = "the day's date in the system block"};
}

// The source of the wording, where FastChat and models' chat templates differ.
enum class Wording { fastchat, chat_template };

inline constexpr abi::OptionInfo kWordingOption{
    .name = "wording",
    .type = abi::OptionType::text,
    .default_value = "fastchat",
    .help = "fastchat, or chat-template: as the template in models' folders has it"};

inline Wording wording_of(const abi::Options& options) {
  const std::string_view name = options.text("wording");
  if (name == "fastchat") return Wording::fastchat;
  if (name == "chat-template") return Wording::chat_template;
  throw abi::Failure(abi::StatusCode::invalid_argument, "wording: found " + std::string(name) +
                                                            ", expected fastchat or chat-template");
}

}  // namespace ropewalk::formats
