// known_formats.h — the chat templates (Jinja) that a prompt format is proved to write.
#pragma once

#include <span>
#include <string_view>

namespace ropewalk {

struct KnownOption {
  std::string_view name, value;
};

// A template whose rendering a format equals.
struct KnownFormat {
  std::string_view hash;  // the first 16 digits of template_hash()
  std::string_view format;
  std::span<const KnownOption> options = {};
};
std::span<const KnownFormat> known_formats();

}  // namespace ropewalk
